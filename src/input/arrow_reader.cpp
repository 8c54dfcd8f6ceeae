// Parquet and Arrow: which columns are wanted, and reviews out of rows. Arrow itself is in a module of its own.
#include <algorithm>
#include <optional>
#include <utility>

#include "../arrow/arrow_module.h"
#include "readers.h"
#include "reviewrate/error.h"
#include "reviewrate/utf8.h"

namespace reviewrate {
namespace {

// What lacks the module is this one file; others can be read.
const ArrowModule& module_for_input() {
  try {
    return arrow_module();
  } catch (const Error& error) {
    throw InputFailure("format", std::string("cannot be read: ") + error.what());
  }
}

class ArrowReader : public FieldsReader {
 public:
  ArrowReader(Origin origin, const InputOptions& options) : FieldsReader(std::move(origin), options) {}

  const std::vector<std::string>* columns() const override { return slots_.empty() ? nullptr : rows_->columns(); }

  bool next(std::string_view& input, bool last, Review& review) override {
    for (;;) {
      if (rows_ && rows_->columns() != nullptr) {
        if (slots_.empty()) select_columns();
        while (rows_->next(cells_)) {
          tally_.nonfinite = rows_->nonfinite();
          if (make_review(review)) return true;
          review = Review();
        }
      }
      if (!input.empty()) {
        take(std::exchange(input, {}));
      } else if (last && !std::exchange(finished_, true)) {
        finish();
      } else {
        return false;
      }
    }
  }

 protected:
  std::unique_ptr<ArrowRows> rows_;  // null: not open yet

 private:
  // Takes the file's next bytes, and learns that there are no more.
  virtual void take(std::string_view bytes) = 0;
  virtual void finish() = 0;

  void select_columns() {
    const std::vector<std::string>& names = *rows_->columns();
    tally_.types = rows_->types();
    const bool all =
        options_.annotate || std::find(options_.pass.begin(), options_.pass.end(), "*") != options_.pass.end();
    if (all) {
      for (const std::string& name : names) select(name);
    }
    choose_text_fields(names);
    select(options_.id_field);
    for (const std::string& name : named_fields(options_)) select(name);
  }

  bool select(const std::string& name) {
    if (fields_.named(name)) return true;
    if (!rows_->select(name)) return false;
    slots_.push_back({fields_.add(name),
                      std::find(rows_->columns()->begin(), rows_->columns()->end(), name) == rows_->columns()->end()});
    return true;
  }

  void choose_text_fields(const std::vector<std::string>& names) {
    const std::vector<std::string> found = find_text_fields(names, options_);
    if (!found.empty()) {
      tell_text_field(found, options_);
      text_fields_ = found;
    }
    const bool all =
        std::all_of(text_fields_.begin(), text_fields_.end(), [&](const std::string& name) { return select(name); });
    if (all) return;
    throw InputFailure("field", "there is no column \"" + options_.text_field +
                                    "\"; the columns are: " + quoted_list(names) + " (--text-field names one)");
  }

  bool make_review(Review& review) {
    fields_.clear_values();
    std::size_t size = 0;
    for (const std::optional<Value>& cell : cells_) size += cell ? cell->text.size() : 0;
    if (size > 2 * options_.max_review_bytes + kOtherFields) {  // as of a row of csv; many wait for their turn
      ++tally_.records;
      set_id(review, ++row_);
      fail(review, row_, "size", "the row is " + too_large(options_));
      return true;
    }
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      if (!cells_[i]) continue;
      if (!cells_[i]->json) review.repaired += repair(cells_[i]->text);
      if (slots_[i].nested) {
        fields_.set_nested(slots_[i].field, std::move(*cells_[i]));
      } else {
        fields_.set(slots_[i].field, std::move(*cells_[i]));
      }
    }
    // A place holds all rows of its batch in memory.
    if (options_.annotate || !options_.pass.empty()) review.place = rows_->place();
    return assemble(fields_, ++row_, review);
  }

  struct Slot {
    std::size_t field;  // in fields_
    bool nested;        // it is no column but stands in one
  };

  std::vector<Slot> slots_;  // of what was selected, in that order
  std::vector<std::optional<Value>> cells_;
  Fields fields_;
  std::size_t row_ = 0;
  bool finished_ = false;
};

class StreamReader final : public ArrowReader {
 public:
  StreamReader(Origin origin, const InputOptions& options) : ArrowReader(std::move(origin), options) {
    rows_ = module_for_input().open_stream();
  }

 private:
  void take(std::string_view bytes) override { rows_->push(bytes); }
  void finish() override { rows_->finish(); }
};

class IndexedReader final : public ArrowReader {
 public:
  IndexedReader(InputFormat format, Origin origin, const InputOptions& options, ByteFile* file)
      : ArrowReader(std::move(origin), options), format_(format), module_(module_for_input()), file_(file) {
    if (file_ == nullptr) file_ = &kept_.emplace();
  }
  ~IndexedReader() override { rows_.reset(); }  // it reads from kept_

 private:
  void take(std::string_view bytes) override { kept_->append(bytes); }
  void finish() override {
    rows_ = format_ == InputFormat::parquet ? module_.open_parquet(*file_) : module_.open_file(*file_);
  }

  const InputFormat format_;
  const ArrowModule& module_;
  std::optional<NamelessFile> kept_;
  ByteFile* file_;
};

}  // namespace

std::unique_ptr<RecordReader> open_stream(Origin origin, const InputOptions& options) {
  return std::make_unique<StreamReader>(std::move(origin), options);
}

std::unique_ptr<RecordReader> open_indexed(InputFormat format, Origin origin, const InputOptions& options,
                                           ByteFile* file) {
  return std::make_unique<IndexedReader>(format, std::move(origin), options, file);
}

}  // namespace reviewrate
