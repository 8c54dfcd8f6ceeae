// The record formats' common part, and the choice of a reader.
#include "reviewrate/record_reader.h"

#include <utility>

#include "readers.h"
#include "reviewrate/utf8.h"

namespace reviewrate {

std::string failure_message(const std::string& where, const std::string& reason) {
  std::string message = where + ": " + reason;
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  repair(message);
  return message;
}

Review failed_review(const Origin& origin, const std::string& kind, const std::string& reason) {
  Review review;
  review.id = {origin.id};
  review.failure = Failure{kind, failure_message(origin.path, reason)};
  return review;
}

std::string too_large(const InputOptions& options) {
  return "larger than " + std::to_string(options.max_review_bytes) + " bytes (--max-review-bytes)";
}

std::unique_ptr<RecordReader> open_records(InputFormat format, Origin origin, const InputOptions& options) {
  switch (format) {
    case InputFormat::jsonl:
      return open_json(std::move(origin), options);
    case InputFormat::csv:
      return open_table(std::move(origin), options, ',');
    case InputFormat::tsv:
      return open_table(std::move(origin), options, '\t');
    case InputFormat::whole:
      return open_whole(std::move(origin), options);
    case InputFormat::lines:
    case InputFormat::automatic:
      break;
  }
  return open_lines(std::move(origin), options);
}

}  // namespace reviewrate
