// Names of tables and JSON are taken at their word; all else goes by content.
#include "format_choice.h"

#include <algorithm>
#include <utility>

#include "content.h"
#include "format_guess.h"
#include "reviewrate/byte_stream.h"
#include "reviewrate/record_reader.h"

namespace reviewrate {
namespace {

// Whether records have fields, and a text may be anything between them.
bool has_fields(InputFormat format) {
  return format != InputFormat::automatic && format != InputFormat::lines && format != InputFormat::whole;
}

// Whether all whole lines have the same number of tabs within them, and there are at least two: a table without a
// header looks so, such as reviews with their labels.
bool has_equal_tabs(std::string_view text) {
  std::ptrdiff_t tabs = 0;
  std::size_t lines = 0;
  for (std::size_t end = text.find('\n'); end != text.npos; end = text.find('\n')) {
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    const std::ptrdiff_t found = std::count(line.begin(), line.end(), '\t');
    if (lines++ == 0) tabs = found;
    if (found == 0 || found != tabs) return false;
  }
  return lines >= 2;
}

// Formats that are no text, and so are told by their first bytes alone.
bool is_binary(InputFormat format) { return format == InputFormat::arrow || has_index(format); }

}  // namespace

InputFormat FormatChoice::promised(const NameParts& name) const {
  if (options_.format != InputFormat::automatic) return options_.format;
  for (const char* json : {".json", ".jsonl", ".ndjson", ".jsonlines", ".ldjson"}) {
    if (name.extension == json) return InputFormat::jsonl;
  }
  if (name.extension == ".csv") return InputFormat::csv;
  if (name.extension == ".tsv") return InputFormat::tsv;
  if (name.extension == ".parquet" || name.extension == ".pq") return InputFormat::parquet;
  for (const char* arrow : {".arrow", ".arrows", ".feather", ".ipc"}) {
    if (name.extension == arrow) return InputFormat::arrow;
  }
  return InputFormat::automatic;
}

std::optional<InputFormat> FormatChoice::choose(const PlainContent& content) {
  InputFormat format = promised(content.name);
  refuse_page(content);
  const InputFormat binary = binary_format(content.seen);
  const InputFormat asked = binary == InputFormat::arrow_file ? InputFormat::arrow : binary;
  if (is_binary(binary) &&
      (options_.format == InputFormat::automatic || options_.format == asked || options_.or_typed)) {
    refuse_uncompressed(content, /*archive_only=*/true);
    return binary;
  }
  std::string kind = binary_kind(content.seen);
  if (is_binary(format) && kind.empty()) {
    throw InputFailure("format", std::string(options_.format == format ? "is read as" : "has the name of") +
                                     (format == InputFormat::parquet ? " a Parquet file" : " an Arrow file") +
                                     ", but does not begin as one");
  }
  if (kind.empty()) kind = unreadable_kind(content.seen, !has_fields(format));
  if (!kind.empty()) throw InputFailure("format", "is no text but " + kind);
  const bool table_by_name =
      options_.format == InputFormat::automatic && format != InputFormat::automatic && format != InputFormat::jsonl;
  if (table_by_name && begins_as_object(content.seen)) {
    throw InputFailure("format", "has the name of a table, but is JSON; --input-format jsonl reads it");
  }
  if (format == InputFormat::automatic) {
    format = guess(content);
    if (format == InputFormat::automatic) return std::nullopt;
  }
  refuse_uncompressed(content, has_fields(format));
  return format;
}

void FormatChoice::refuse_uncompressed(const PlainContent& content, bool archive_only) {
  if (content.decompressed || !(archive_only ? content.name.archive : content.name.compressed)) return;
  throw InputFailure("damaged", "has the name of a compressed file or archive, but is none");
}

void FormatChoice::refuse_page(const PlainContent& content) const {
  const std::string kind = page_kind(content.seen, content.name.extension, options_.format != InputFormat::automatic);
  if (kind.empty()) return;
  if (!content.name.compressed || content.decompressed) throw InputFailure("format", "is " + kind);
  throw InputFailure("damaged", "has the name of a compressed file or archive, but is " + kind);
}

// The format of content whose name does not tell it; automatic: more must be seen.
InputFormat FormatChoice::guess(const PlainContent& content) {
  const InputFormat text = content.inside ? InputFormat::whole : InputFormat::lines;
  const bool is_txt = content.name.extension == ".txt";
  if (is_txt && content.inside && !begins_as_json(content.seen)) return text;
  const InputFormat format = guess_format(content.seen, content.more, options_);
  if (format == InputFormat::automatic) return format;
  const bool scattered_json =
      is_txt && format == InputFormat::jsonl && !is_mostly_json(content.seen, content.more, options_);
  if (format == InputFormat::lines || scattered_json) return content.inside ? text : lines_or_what_was_asked(content);
  if (is_txt) tell_contradiction(content, format);
  return format;
}

// Lines, unless options say that there are columns or fields.
InputFormat FormatChoice::lines_or_what_was_asked(const PlainContent& content) {
  const bool table = !options_.header || !options_.quoting || !options_.delimiter.empty() || !options_.escape.empty();
  if (table) return options_.delimiter == "\t" ? InputFormat::tsv : InputFormat::csv;
  const std::string_view seen = content.seen;
  const bool old_mac = seen.find('\n') == seen.npos && std::count(seen.begin(), seen.end(), '\r') > 1;
  if (old_mac) {
    throw InputFailure(
        "format",
        "ends its lines by carriage returns alone, as old Macs did; put line feeds there first (tr '\\r' '\\n')");
  }
  if (options_.text_field != InputOptions().text_field) {
    throw InputFailure("field", "is neither JSON nor a table with a column \"" + options_.text_field +
                                    "\" (--text-field); --input-format says what it is");
  }
  if (has_equal_tabs(seen)) {
    tell_once(content,
              "is read as plain lines, which all have the same number of tabs: if those separate columns, "
              "--input-format tsv --no-header --text-field 1 reads the first");
  } else if (is_like_header(seen, options_)) {
    tell_once(content,
              "is read as plain lines: if the first of them names columns, --input-format csv (or tsv) reads a table");
  } else if (is_like_table(seen, content.more || seen.size() >= kLookAhead, options_)) {
    tell_once(content,
              "is read as plain lines, of which the first looks like the header of a table: if it is one, "
              "--input-format csv --text-field NAME reads the column NAME");
  }
  return InputFormat::lines;
}

// A .txt file of JSON or of a table.
void FormatChoice::tell_contradiction(const PlainContent& content, InputFormat format) {
  tell_once(content, format == InputFormat::jsonl
                         ? "is read as JSON, because its lines are JSON objects; --input-format lines reads it as "
                           "plain lines"
                         : "is read as a table, because its first line names a text column; --input-format lines "
                           "reads it as plain lines");
}

// Says so of the first content of which it is so: a folder may hold thousands.
void FormatChoice::tell_once(const PlainContent& content, const char* notice) {
  if (told_.insert(notice).second) options_.notify(failure_message(shown_name(content.path), notice));
}

}  // namespace reviewrate
