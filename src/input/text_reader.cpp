// Reviews without fields: a line each, or a whole file.
#include <utility>

#include "line_splitter.h"
#include "readers.h"
#include "reviewrate/byte_stream.h"
#include "reviewrate/utf8.h"

namespace reviewrate {
namespace {

class LinesReader final : public Reader {
 public:
  LinesReader(Origin origin, const InputOptions& options)
      : Reader(std::move(origin), options),
        guessed_(options.format == InputFormat::automatic),
        lines_(options.max_review_bytes) {}

  bool next(std::string_view& input, bool last, Review& review) override {
    while (lines_.next(input, last)) {
      ++tally_.records;
      if (!options_.where.empty()) continue;  // a line has no fields
      set_id(review, lines_.number());
      if (lines_.too_long()) {
        fail(review, lines_.number(), "size", "the line is " + too_large(options_));
      } else if (guessed_ && is_record(lines_.line())) {
        fail(review, lines_.number(), "format",
             "the line is a JSON object among plain lines; --input-format jsonl reads JSON, and lines takes "
             "it for a text itself");
      } else {
        review.text.swap(lines_.line());
        review.repaired = repair(review.text);
      }
      return true;
    }
    return false;
  }

 private:
  // Whether `line` would be rated if the file were read as JSON, or is what is left of such a record.
  bool is_record(std::string_view line) const {
    const std::size_t first = line.find_first_not_of(kSpaces);
    if (first == line.npos || std::string_view("{[}],\"").find(line[first]) == line.npos) return false;
    return has_json_member(line, options_.text_field) ||
           (line[first] == '{' && json_evidence(line, true, options_).objects > 0);
  }

  const bool guessed_;  // that the file has lines
  LineSplitter lines_;
};

class WholeReader final : public Reader {
 public:
  WholeReader(Origin origin, const InputOptions& options) : Reader(std::move(origin), options) {}

  bool next(std::string_view& input, bool last, Review& review) override {
    if (text_.size() + input.size() > options_.max_review_bytes) {
      throw InputFailure("size", "the file, read as one review, is " + too_large(options_));
    }
    text_ += input;
    input = {};
    if (!last || done_) return false;
    done_ = true;
    ++tally_.records;
    if (!options_.where.empty()) return false;  // a whole file has no fields
    review.id = {origin_.id};
    if (text_.starts_with(kBom)) text_.erase(0, kBom.size());
    review.text.swap(text_);
    review.repaired = repair(review.text);
    review.path = origin_.path;
    return true;
  }

 private:
  std::string text_;
  bool done_ = false;
};

}  // namespace

std::unique_ptr<RecordReader> open_lines(Origin origin, const InputOptions& options) {
  return std::make_unique<LinesReader>(std::move(origin), options);
}

std::unique_ptr<RecordReader> open_whole(Origin origin, const InputOptions& options) {
  return std::make_unique<WholeReader>(std::move(origin), options);
}

}  // namespace reviewrate
