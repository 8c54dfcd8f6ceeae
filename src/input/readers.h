// What the readers of all formats share, and one function for each that makes it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "json_text.h"
#include "reviewrate/record_reader.h"
#include "reviewrate/text.h"
#include "text_fields.h"

namespace reviewrate {

inline constexpr std::string_view kSpaces = " \t\r\n";
inline constexpr std::size_t kOtherFields = 64 * 1024;  ///< bytes allowed in a record for all but its text

/// "larger than N bytes (--max-review-bytes)".
std::string too_large(const InputOptions& options);

/// The names, quoted so that blanks show, and not too many of them.
std::string quoted_list(const std::vector<std::string>& names);

/// A reader that knows what its file is called.
class Reader : public RecordReader {
 public:
  const Tally& tally() const final { return tally_; }

 protected:
  Reader(Origin origin, const InputOptions& options) : origin_(std::move(origin)), options_(options) {}

  virtual void set_id(Review& review, std::size_t line) const { review.id = {origin_.id + ":" + std::to_string(line)}; }

  void fail(Review& review, std::size_t line, const std::string& kind, const std::string& reason) const {
    release(review.text);  // many failed reviews may wait for their turn, and hold nothing
    review.failure = Failure{kind, failure_message(shown_name(origin_.path) + ":" + std::to_string(line), reason)};
  }

  const Origin origin_;
  const InputOptions& options_;
  Tally tally_;
};

/// The named values of one record, in source order.
class Fields {
 public:
  std::size_t add(std::string name) {
    if (const std::size_t found = slot_of(name); found < slots_.size()) return found;
    if (slots_.size() >= kSearched) {
      if (index_.empty()) {
        for (std::size_t slot = 0; slot < slots_.size(); ++slot) index_.emplace(slots_[slot].field.name, slot);
      }
      index_.emplace(name, slots_.size());
    }
    slots_.push_back({{std::move(name), {}}, Presence::absent, false});
    return slots_.size() - 1;
  }

  void set(std::size_t slot, Value value) { set(slot, std::move(value), Presence::own); }

  // A value that stands deeper in the record, under a name of the form "a.b"; a field of that very name goes before it.
  void set_nested(std::size_t slot, Value value) {
    if (slots_[slot].presence != Presence::own) set(slot, std::move(value), Presence::nested);
  }

  const Value* find(const std::string& name) const {
    const std::size_t slot = slot_of(name);
    return slot == slots_.size() || slots_[slot].presence == Presence::absent ? nullptr : &slots_[slot].field.value;
  }

  // A name that the record has more than once, with values of which only one could be kept.
  const std::string* repeated() const {
    if (!any_repeated_) return nullptr;
    const auto found = std::find_if(slots_.begin(), slots_.end(), [](const Slot& slot) {
      return slot.presence != Presence::absent && slot.repeated;
    });
    return found == slots_.end() ? nullptr : &found->field.name;
  }

  bool named(const std::string& name) const { return slot_of(name) < slots_.size(); }

  // The record's own fields.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (const Slot& slot : slots_) {
      if (slot.presence == Presence::own) visit(slot.field);
    }
  }

  // Forgets the values, keeps the names.
  void clear_values() {
    for (Slot& slot : slots_) slot.presence = Presence::absent;
    any_repeated_ = false;
  }

  void clear() {
    slots_.clear();
    index_.clear();
    any_repeated_ = false;
  }

 private:
  enum class Presence { absent, nested, own };

  struct Slot {
    Field field;
    Presence presence;
    bool repeated;  // it came more than once in this presence
  };

  void set(std::size_t at, Value value, Presence presence) {
    Slot& slot = slots_[at];
    slot.repeated = slot.presence == presence;
    any_repeated_ = any_repeated_ || slot.repeated;
    slot.field.value = std::move(value);
    slot.presence = presence;
  }

  static constexpr std::size_t kSearched = 16;  // so many names are compared faster than they are hashed

  // slots_.size() if there is none.
  std::size_t slot_of(const std::string& name) const {
    if (!index_.empty()) {
      const auto found = index_.find(name);
      return found == index_.end() ? slots_.size() : found->second;
    }
    const auto found =
        std::find_if(slots_.begin(), slots_.end(), [&](const Slot& slot) { return slot.field.name == name; });
    return static_cast<std::size_t>(found - slots_.begin());
  }

  std::vector<Slot> slots_;
  std::unordered_map<std::string, std::size_t> index_;  // empty while there are few
  bool any_repeated_ = false;                           // of what was set since the values were cleared
};

/// A reader of records that have named fields.
class FieldsReader : public Reader {
 protected:
  FieldsReader(Origin origin, const InputOptions& options)
      : Reader(std::move(origin), options), text_fields_{options.text_field}, named_(named_fields(options)) {
    tally_.named.resize(named_.size());
    tally_.matched.resize(options.where.size());
    tally_.not_judged.resize(options.where.size());
  }

  // Fills `review` from the record's fields; false if --where leaves it out.
  bool assemble(const Fields& fields, std::size_t line, Review& review) {
    ++tally_.records;
    for (std::size_t i = 0; i < named_.size(); ++i) {
      if (!tally_.named[i]) tally_.named[i] = fields.find(named_[i]) != nullptr;
    }
    if (fields.repeated()) {
      set_id(review, line);
      review.has_fields = true;
      fail(review, line, "field",
           "the field \"" + *fields.repeated() + "\" comes twice, and which is meant is not told");
      return true;
    }
    bool kept = true;
    for (std::size_t i = 0; i < options_.where.size(); ++i) {
      const Condition& condition = options_.where[i];
      const Value* value = fields.find(condition.field());
      const bool holds = value != nullptr && condition.holds(value->text);
      if (holds) tally_.matched[i] = true;
      if (value != nullptr && !condition.can_judge(value->text)) ++tally_.not_judged[i];
      kept = kept && holds;
    }
    if (!kept) return false;
    tally_.kept = true;
    set_id(review, line);
    const Value* id = fields.find(options_.id_field);
    if (id != nullptr && has_id(*id)) review.id = *id;
    pass(fields, review);
    review.has_fields = true;
    take_text(fields, line, review);
    return true;
  }

  // Whether the record has any of the text's fields.
  bool has_text(const Fields& fields) const {
    return std::any_of(text_fields_.begin(), text_fields_.end(),
                       [&](const std::string& name) { return fields.find(name) != nullptr; });
  }

  // Decided once, by the header or the first record that has one; until then what was asked for.
  std::vector<std::string> text_fields_;
  bool text_guessed_ = false;  // nobody named it, but the first record with a usual name had no other

 private:
  void take_text(const Fields& fields, std::size_t line, Review& review) const {
    if (!has_text(fields)) {
      const std::string names = field_names();
      return fail(
          review, line, "field",
          "there is no field \"" +
              (text_guessed_ ? text_fields_.front() + "\", which the text is taken from" : options_.text_field + "\"") +
              (names.empty() ? "" : "; the fields are: " + names + " (--text-field names one)"));
    }
    if (const std::string other = text_guessed_ ? other_usual_field(fields) : ""; !other.empty()) {
      return fail(review, line, "field",
                  "has a field \"" + other + "\", but the text is taken from \"" + text_fields_.front() +
                      "\" (--text-field names one)");
    }
    for (const std::string& name : text_fields_) {
      const Value* text = fields.find(name);
      const bool left_out = text == nullptr || (text->json && text->text == "null") || is_null(*text);
      if (left_out && text_fields_.size() > 1) continue;  // the others are the text
      if (is_null(*text)) return fail(review, line, "type", "the field \"" + name + "\" is \\N, which stands for NULL");
      if (text->json) {
        return fail(review, line, "type",
                    "the field \"" + name + "\" is " + type_name(text->text) + " and not a string");
      }
      if (!review.text.empty() && !text->text.empty()) review.text += '\n';
      review.text += text->text;
    }
    if (review.text.size() > options_.max_review_bytes) {
      fail(review, line, "size", "the text is " + too_large(options_));
    }
  }

  // Of the record's own that have usual names, one that is not the text's; empty: there is none.
  std::string other_usual_field(const Fields& fields) const {
    std::string other;
    fields.for_each([&](const Field& field) {
      if (is_usual_text_field(field.name) && field.name != text_fields_.front()) other = field.name;
    });
    return other;
  }

  // An id is a text or a number.
  static bool has_id(const Value& id) {
    return id.json ? id.text.front() == '-' || is_json_digit(id.text.front()) : !id.text.empty();
  }

  // Whether the format has another way to write null than JSON's.
  virtual bool is_null(const Value&) const { return false; }

  // Of the record, each in quotes, for messages; some of them if there are many.
  virtual std::string field_names() const { return {}; }

  void pass(const Fields& fields, Review& review) const {
    if (options_.annotate) fields.for_each([&](const Field& field) { review.passed.push_back(field); });
    for (const std::string& name : options_.pass) {
      if (name == "*") {
        fields.for_each([&](const Field& field) {
          const bool chosen = std::find(text_fields_.begin(), text_fields_.end(), field.name) == text_fields_.end() &&
                              field.name != options_.id_field &&
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
      case '"':
        return "binary data";
      default:
        return "a number";
    }
  }

  const std::vector<std::string> named_;
};

// The readers; as open_records (record_reader.h).
std::unique_ptr<RecordReader> open_lines(Origin origin, const InputOptions& options);
std::unique_ptr<RecordReader> open_whole(Origin origin, const InputOptions& options);
std::unique_ptr<RecordReader> open_json(Origin origin, const InputOptions& options);
std::unique_ptr<RecordReader> open_stream(Origin origin, const InputOptions& options);
// Parquet and Arrow files. Without a `file`, what is pushed is kept in one without a name.
std::unique_ptr<RecordReader> open_indexed(InputFormat format, Origin origin, const InputOptions& options,
                                           ByteFile* file);
// `usual_delimiter` is the format's own; InputOptions::delimiter or the first line may say another.
std::unique_ptr<RecordReader> open_table(Origin origin, const InputOptions& options, char usual_delimiter);

}  // namespace reviewrate
