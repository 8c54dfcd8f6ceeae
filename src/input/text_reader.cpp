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
      : Reader(std::move(origin), options), lines_(options.max_review_bytes) {}

  bool next(std::string_view& input, bool last, Review& review) override {
    while (lines_.next(input, last)) {
      if (!options_.where.empty()) continue;  // a line has no fields
      set_id(review, lines_.number());
      if (lines_.too_long()) {
        fail(review, lines_.number(), "size", "the line is " + too_large(options_));
      } else {
        review.text.swap(lines_.line());
        review.repaired = repair(review.text);
      }
      return true;
    }
    return false;
  }

 private:
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
    if (!last || done_ || !options_.where.empty()) return false;
    done_ = true;
    review.id = {origin_.id};
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
