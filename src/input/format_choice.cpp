// Names of tables and JSON are taken at their word; all else goes by content.
#include "format_choice.h"

#include "content.h"
#include "reviewrate/byte_stream.h"
#include "reviewrate/record_reader.h"

namespace reviewrate {
namespace {

// Whether records have fields, and a text may be anything between them.
bool has_fields(InputFormat format) {
  return format == InputFormat::jsonl || format == InputFormat::csv || format == InputFormat::tsv;
}

}  // namespace

InputFormat FormatChoice::promised(const NameParts& name) const {
  if (options_.format != InputFormat::automatic) return options_.format;
  for (const char* json : {".json", ".jsonl", ".ndjson", ".jsonlines", ".ldjson"}) {
    if (name.extension == json) return InputFormat::jsonl;
  }
  if (name.extension == ".csv") return InputFormat::csv;
  if (name.extension == ".tsv") return InputFormat::tsv;
  return InputFormat::automatic;
}

std::optional<InputFormat> FormatChoice::choose(const PlainContent& content) {
  InputFormat format = promised(content.name);
  refuse_page(content);
  std::string kind = binary_kind(content.seen);
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
  if (content.name.compressed && !content.decompressed && (content.name.archive || !has_fields(format))) {
    throw InputFailure("damaged", "has the name of a compressed file or archive, but is none");
  }
  return format;
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
  if (!is_txt) return format == InputFormat::lines ? text : format;
  if (format == InputFormat::automatic) return format;
  if (format != InputFormat::jsonl || !is_mostly_json(content.seen, options_)) return text;
  if (!told_json_) {
    options_.notify(failure_message(shown_name(content.path),
                                    "is read as JSON, because its lines are JSON objects that hold a text; "
                                    "--input-format lines reads it as plain lines"));
  }
  told_json_ = true;
  return format;
}

}  // namespace reviewrate
