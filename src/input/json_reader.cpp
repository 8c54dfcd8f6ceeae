// JSON Lines, parsed by nlohmann_json's SAX interface, which neither recurses nor builds what nobody asked for.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "line_splitter.h"
#include "readers.h"
#include "reviewrate/utf8.h"

namespace reviewrate {
namespace {

// Collects the wanted members of one object. Numbers keep the spelling that they have in the source.
class ObjectHandler {
 public:
  using Json = nlohmann::json;

  // `wanted` is nullptr where only the syntax matters.
  ObjectHandler(const InputOptions* wanted, Fields& fields) : options_(wanted), fields_(fields) {}

  bool null() { return value("null", true); }
  bool boolean(bool truth) { return value(truth ? "true" : "false", true); }
  // The only zero that is not unsigned is -0.
  bool number_integer(Json::number_integer_t number) {
    return value(number == 0 ? "-0" : std::to_string(number), true);
  }
  bool number_unsigned(Json::number_unsigned_t number) { return value(std::to_string(number), true); }
  bool number_float(Json::number_float_t, const std::string& spelling) { return value(spelling, true); }
  bool string(std::string& text) { return value(std::move(text), false); }
  bool binary(Json::binary_t&) { return false; }

  bool start_object(std::size_t) { return open('{'); }
  bool start_array(std::size_t) { return open('['); }
  bool end_object() { return close('}'); }
  bool end_array() { return close(']'); }

  bool key(std::string& name) {
    if (depth_ > 1) {
      if (wanted_) {
        comma();
        nested_ += quoted(name) + ":";
        comma_ = false;
      }
      return true;
    }
    wanted_ = options_ != nullptr && is_wanted(name);
    if (wanted_) slot_ = fields_.add(std::move(name));
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const Json::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 5: ...": the line is always 1.
    reason_ = error.what();
    const std::size_t column = reason_.find("column ");
    reason_.erase(0, column == std::string::npos ? reason_.find("] ") + 2 : column);
    if (reason_.size() > kLongestReason) reason_.replace(kLongestReason, std::string::npos, "...");
    reason_ = "not valid JSON: " + reason_;
    return false;
  }

  // Why parsing stopped.
  const std::string& reason() const { return reason_; }

 private:
  static constexpr std::size_t kLongestReason = 160;  // nlohmann quotes everything that it read of a bad token

  static std::string quoted(const std::string& text) { return Json(text).dump(); }

  bool is_wanted(const std::string& name) const {
    if (name == options_->text_field || name == options_->id_field) return true;
    for (const std::string& pass : options_->pass) {
      if (pass == "*" || pass == name) return true;
    }
    return std::any_of(options_->where.begin(), options_->where.end(),
                       [&](const auto& condition) { return condition.first == name; });
  }

  bool value(std::string text, bool json) {
    if (depth_ == 0) return refuse();
    if (!wanted_) return true;
    if (depth_ == 1) {
      fields_.set(slot_, {std::move(text), json});
    } else {
      comma();
      nested_ += json ? text : quoted(text);
    }
    return true;
  }

  bool open(char bracket) {
    if (depth_ == 0 && bracket == '[') return refuse();
    if (depth_ > 0 && wanted_) {
      comma();
      nested_ += bracket;
      comma_ = false;
    }
    ++depth_;
    return true;
  }

  bool close(char bracket) {
    --depth_;
    if (depth_ > 0 && wanted_) {
      nested_ += bracket;
      comma_ = true;
    }
    if (depth_ == 1 && wanted_) {
      fields_.set(slot_, {std::exchange(nested_, std::string()), true});
      comma_ = false;
    }
    return true;
  }

  bool refuse() {
    reason_ = "valid JSON, but not an object";
    return false;
  }

  // Before each nested value and key.
  void comma() {
    if (comma_) nested_ += ',';
    comma_ = true;
  }

  const InputOptions* options_;
  Fields& fields_;
  std::size_t depth_ = 0;
  bool wanted_ = false;   // the current member of the record is
  std::size_t slot_ = 0;  // and this is its place
  std::string nested_;    // what was read of its value if that is an object or array
  bool comma_ = false;    // whether the next thing in nested_ needs one before it
  std::string reason_;
};

// The value of the four hexadecimal digits at `at`, or -1.
long hex4(std::string_view text, std::size_t at) {
  if (at + 4 > text.size()) return -1;
  long value = 0;
  for (const char digit : text.substr(at, 4)) {
    const std::size_t worth = std::string_view("0123456789abcdef0123456789ABCDEF").find(digit);
    if (worth == std::string_view::npos) return -1;
    value = value * 16 + static_cast<long>(worth % 16);
  }
  return value;
}

// Surrogates that are no pair are legal in JSON but are no characters: \ud800 becomes \ufffd. Returns how many.
std::size_t repair_surrogates(std::string& line) {
  std::size_t repaired = 0;
  for (std::size_t at = line.find('\\'); at != std::string::npos; at = line.find('\\', at)) {
    const bool escape = line.compare(at, 2, "\\u") == 0;
    const long unit = escape ? hex4(line, at + 2) : -1;
    if (unit < 0xD800 || unit > 0xDFFF) {
      at += 2;
      continue;
    }
    const long second = unit < 0xDC00 && line.compare(at + 6, 2, "\\u") == 0 ? hex4(line, at + 8) : -1;
    if (second >= 0xDC00 && second <= 0xDFFF) {
      at += 12;
      continue;
    }
    line.replace(at + 2, 4, "fffd");
    ++repaired;
    at += 6;
  }
  return repaired;
}

class JsonLinesReader final : public FieldsReader {
 public:
  JsonLinesReader(Origin origin, const InputOptions& options)
      : FieldsReader(std::move(origin), options), lines_(max_json_line(options)) {}

  bool next(std::string_view& input, bool last, Review& review) override {
    while (lines_.next(input, last)) {
      if (read_line(lines_.line(), review)) return true;
      review = Review();
    }
    return false;
  }

 private:
  bool read_line(std::string& line, Review& review) const {
    if (lines_.too_long()) {
      set_id(review, lines_.number());
      fail(review, lines_.number(), "size", "the line is too long to hold a text that is not " + too_large(options_));
      return true;
    }
    if (line.find_first_not_of(kSpaces) == std::string::npos) return false;
    review.repaired = repair(line) + repair_surrogates(line);
    Fields fields;
    ObjectHandler handler(&options_, fields);
    if (nlohmann::json::sax_parse(line, &handler)) return assemble(fields, lines_.number(), review);
    set_id(review, lines_.number());
    fail(review, lines_.number(), "json", handler.reason());
    return true;
  }

  bool has_id(const Value& id) const override {
    return !id.json || id.text.front() == '-' || (id.text.front() >= '0' && id.text.front() <= '9');
  }

  LineSplitter lines_;
};

}  // namespace

std::size_t max_json_line(const InputOptions& options) { return 6 * options.max_review_bytes + kOtherFields; }

bool is_json_object(std::string_view line) {
  std::string copy(line);
  repair(copy);
  repair_surrogates(copy);
  Fields none;
  ObjectHandler handler(nullptr, none);
  return nlohmann::json::sax_parse(copy, &handler);
}

std::unique_ptr<RecordReader> open_json(Origin origin, const InputOptions& options) {
  return std::make_unique<JsonLinesReader>(std::move(origin), options);
}

}  // namespace reviewrate
