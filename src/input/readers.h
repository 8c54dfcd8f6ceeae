// What the readers of all formats share, and one function for each that makes it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "reviewrate/record_reader.h"

namespace reviewrate {

inline constexpr std::string_view kSpaces = " \t\r\n";
inline constexpr std::size_t kOtherFields = 64 * 1024;  ///< bytes allowed in a record for all but its text

/// "larger than N bytes (--max-review-bytes)".
std::string too_large(const InputOptions& options);

/// A reader that knows what its file is called.
class Reader : public RecordReader {
 protected:
  Reader(Origin origin, const InputOptions& options) : origin_(std::move(origin)), options_(options) {}

  void set_id(Review& review, std::size_t line) const { review.id = {origin_.id + ":" + std::to_string(line)}; }

  void fail(Review& review, std::size_t line, const std::string& kind, const std::string& reason) const {
    review.text.clear();
    review.failure = Failure{kind, failure_message(origin_.path + ":" + std::to_string(line), reason)};
  }

  const Origin origin_;
  const InputOptions& options_;
};

/// The named values of one record, in source order. A name that comes twice keeps its place and takes the later value.
class Fields {
 public:
  std::size_t add(std::string name) {
    const auto [found, fresh] = index_.try_emplace(name, slots_.size());
    if (fresh) slots_.push_back({{std::move(name), {}}, false});
    return found->second;
  }

  void set(std::size_t slot, Value value) {
    slots_[slot].field.value = std::move(value);
    slots_[slot].present = true;
  }

  const Value* find(const std::string& name) const {
    const auto found = index_.find(name);
    return found == index_.end() || !slots_[found->second].present ? nullptr : &slots_[found->second].field.value;
  }

  bool named(const std::string& name) const { return index_.contains(name); }

  template <typename Visit>
  void for_each(Visit visit) const {
    for (const Slot& slot : slots_) {
      if (slot.present) visit(slot.field);
    }
  }

  // Forgets the values, keeps the names.
  void clear_values() {
    for (Slot& slot : slots_) slot.present = false;
  }

 private:
  struct Slot {
    Field field;
    bool present;
  };

  std::vector<Slot> slots_;
  std::unordered_map<std::string, std::size_t> index_;
};

/// A reader of records that have named fields.
class FieldsReader : public Reader {
 protected:
  using Reader::Reader;

  // Fills `review` from the record's fields; false if --where leaves it out.
  bool assemble(const Fields& fields, std::size_t line, Review& review) const {
    for (const auto& [name, wanted] : options_.where) {
      const Value* value = fields.find(name);
      if (value == nullptr || value->text != wanted) return false;
    }
    set_id(review, line);
    const Value* id = fields.find(options_.id_field);
    if (id != nullptr && has_id(*id)) review.id = *id;
    pass(fields, review);
    const Value* text = fields.find(options_.text_field);
    if (text == nullptr) {
      fail(review, line, "field", "there is no field \"" + options_.text_field + "\"");
    } else if (text->json) {
      fail(review, line, "type",
           "the field \"" + options_.text_field + "\" is " + type_name(text->text) + " and not a string");
    } else if (text->text.size() > options_.max_review_bytes) {
      fail(review, line, "size", "the text is " + too_large(options_));
    } else {
      review.text = text->text;
    }
    return true;
  }

 private:
  virtual bool has_id(const Value& id) const = 0;

  void pass(const Fields& fields, Review& review) const {
    for (const std::string& name : options_.pass) {
      if (name == "*") {
        fields.for_each([&](const Field& field) {
          const bool chosen = field.name != options_.text_field && field.name != options_.id_field &&
                              std::find(options_.pass.begin(), options_.pass.end(), field.name) == options_.pass.end();
          if (chosen) review.passed.push_back(field);
        });
      } else if (const Value* value = fields.find(name); value != nullptr) {
        review.passed.push_back({name, *value});
      }
    }
  }

  static std::string type_name(const std::string& json) {
    switch (json.front()) {
      case '{':
        return "an object";
      case '[':
        return "an array";
      case 'n':
        return "null";
      case 't':
      case 'f':
        return "a boolean";
      default:
        return "a number";
    }
  }
};

// The readers; as open_records (record_reader.h).
std::unique_ptr<RecordReader> open_lines(Origin origin, const InputOptions& options);
std::unique_ptr<RecordReader> open_whole(Origin origin, const InputOptions& options);
std::unique_ptr<RecordReader> open_json(Origin origin, const InputOptions& options);
// `usual_delimiter` is the format's own; InputOptions::delimiter or the first line may say another.
std::unique_ptr<RecordReader> open_table(Origin origin, const InputOptions& options, char usual_delimiter);

}  // namespace reviewrate
