// The record formats' common part, and the choice of a reader.
#include "reviewrate/record_reader.h"

#include <algorithm>
#include <utility>

#include "readers.h"
#include "reviewrate/printable.h"
#include "reviewrate/utf8.h"

namespace reviewrate {
namespace {

std::string hexadecimal(char32_t value, std::size_t digits) {
  std::string text;
  for (std::size_t i = digits; i-- > 0;) text += "0123456789ABCDEF"[value >> 4 * i & 0xF];
  return text;
}

std::string escaped(char32_t c) { return c < 0x80 ? "\\x" + hexadecimal(c, 2) : "\\u" + hexadecimal(c, 4); }

}  // namespace

std::string shown_name(const std::string& name) {
  std::string shown;
  bool plain = !name.empty();
  for (std::string_view rest = name; !rest.empty();) {
    const DecodedChar decoded = decode_code_point(rest);
    const std::string_view bytes = rest.substr(0, decoded.length);
    rest.remove_prefix(decoded.length);
    plain = plain && decoded.valid && decoded.code_point != ' ' && !is_unprintable(decoded.code_point);
    if (!decoded.valid) {
      for (const char byte : bytes) shown += "\\x" + hexadecimal(static_cast<unsigned char>(byte), 2);
    } else if (is_unprintable(decoded.code_point)) {
      shown += escaped(decoded.code_point);
    } else {
      shown += bytes;
    }
  }
  return plain ? shown : '"' + shown + '"';
}

std::string failure_message(const std::string& where, const std::string& reason) {
  return printable(where + ": " + reason);
}

bool has_json_member(std::string_view text, std::string_view name) {
  for (std::size_t at = text.find('"'); at != text.npos; at = text.find('"', at + 1)) {
    std::string_view rest = text.substr(at + 1);
    if (!rest.starts_with(name)) continue;
    rest.remove_prefix(name.size());
    if (!rest.starts_with('"')) continue;
    const std::size_t next = rest.find_first_not_of(kSpaces, 1);
    if (next != rest.npos && rest[next] == ':') return true;
  }
  return false;
}

Review failed_review(const Origin& origin, const std::string& kind, const std::string& reason) {
  Review review;
  review.id = {origin.id};
  review.failure = Failure{kind, failure_message(shown_name(origin.path), reason)};
  return review;
}

void Tally::add(const Tally& other) {
  const auto merge = [](std::vector<bool>& into, const std::vector<bool>& from) {
    into.resize(std::max(into.size(), from.size()));
    for (std::size_t i = 0; i < from.size(); ++i) into[i] = into[i] || from[i];
  };
  records += other.records;
  merge(named, other.named);
  merge(matched, other.matched);
  not_judged.resize(std::max(not_judged.size(), other.not_judged.size()));
  for (std::size_t i = 0; i < other.not_judged.size(); ++i) not_judged[i] += other.not_judged[i];
  kept = kept || other.kept;
  nonfinite += other.nonfinite;
  if (!types) types = other.types;
}

std::vector<std::string> named_fields(const InputOptions& options) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  for (const Condition& condition : options.where) add(condition.field());
  for (const std::string& name : options.pass) {
    if (name != "*") add(name);
  }
  if (options.id_field != InputOptions().id_field) add(options.id_field);
  return names;
}

std::string too_large(const InputOptions& options) {
  return "larger than " + std::to_string(options.max_review_bytes) + " bytes (--max-review-bytes)";
}

std::string quoted_list(const std::vector<std::string>& names) {
  std::string listed;
  for (const std::string& name : names) {
    if (listed.size() >= kOtherFields / 256) return listed + ", ...";
    listed += (listed.empty() ? "\"" : ", \"") + name + '"';
  }
  return listed;
}

std::unique_ptr<RecordReader> open_records(InputFormat format, Origin origin, const InputOptions& options,
                                           ByteFile* file) {
  switch (format) {
    case InputFormat::jsonl:
      return open_json(std::move(origin), options);
    case InputFormat::csv:
      return open_table(std::move(origin), options, ',');
    case InputFormat::tsv:
      return open_table(std::move(origin), options, '\t');
    case InputFormat::parquet:
    case InputFormat::arrow_file:
      return open_indexed(format, std::move(origin), options, file);
    case InputFormat::arrow:
      return open_stream(std::move(origin), options);
    case InputFormat::whole:
      return open_whole(std::move(origin), options);
    case InputFormat::lines:
    case InputFormat::automatic:
      break;
  }
  return open_lines(std::move(origin), options);
}

}  // namespace reviewrate
