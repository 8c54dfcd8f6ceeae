// The record formats. JSON is parsed by nlohmann_json's SAX interface, which neither recurses nor builds what nobody
// asked for; CSV by libcsv.
#include "reviewrate/record_reader.h"

#include <csv.h>

#include <algorithm>
#include <new>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "reviewrate/byte_stream.h"
#include "reviewrate/utf8.h"

namespace reviewrate {
namespace {

constexpr std::string_view kBom = "\xEF\xBB\xBF";
constexpr std::string_view kSpaces = " \t\r\n";
constexpr std::size_t kOtherFields = 64 * 1024;  // room in a record for all but its text

std::string too_large(const InputOptions& options) {
  return "larger than " + std::to_string(options.max_review_bytes) + " bytes (--max-review-bytes)";
}

// Lines of bounded length: \n or \r\n ends one, and so does the end of the input if something stands before it.
class LineSplitter {
 public:
  explicit LineSplitter(std::size_t bound) : bound_(bound) {}

  // True: line() holds the next line, or too_long() says that it was longer than the bound, and dropped.
  bool next(std::string_view& input, bool last) {
    if (whole_) {
      line_.clear();
      too_long_ = started_ = whole_ = false;
    }
    const std::size_t newline = input.find('\n');
    const bool found = newline != std::string_view::npos;
    const std::string_view piece = input.substr(0, newline);
    started_ = started_ || !piece.empty();
    // Four bytes more, because a byte order mark and \r do not count.
    if (line_.size() + piece.size() > bound_ + 4) {
      too_long_ = true;
      line_ = std::string();
    }
    if (!too_long_) line_ += piece;
    input.remove_prefix(found ? newline + 1 : input.size());
    if (!found && !(last && started_)) return false;
    whole_ = true;
    ++number_;
    if (found && line_.ends_with('\r')) line_.pop_back();
    if (number_ == 1 && line_.starts_with(kBom)) {
      line_.erase(0, kBom.size());
      if (line_.empty() && !found) return false;  // nothing but the mark
    }
    too_long_ = too_long_ || line_.size() > bound_;
    return true;
  }

  std::string& line() { return line_; }
  bool too_long() const { return too_long_; }
  std::size_t number() const { return number_; }  // from 1

 private:
  std::size_t bound_;
  std::string line_;
  std::size_t number_ = 0;
  bool too_long_ = false;
  bool started_ = false;
  bool whole_ = false;
};

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

// The named values of one record, in source order. A name that comes twice keeps its place and takes the later value.
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

// Rows of cells below a header.
class TableReader : public FieldsReader {
 public:
  bool next(std::string_view& input, bool last, Review& review) override {
    while (next_row(input, last)) {
      const bool made = make_review(review);
      cells_.clear();
      surplus_ = false;
      trouble_.reset();
      if (made) return true;
      review = Review();
    }
    return false;
  }

 protected:
  TableReader(Origin origin, const InputOptions& options)
      : FieldsReader(std::move(origin), options), bound_(2 * options.max_review_bytes + kOtherFields) {}

  // Puts the next row into cells_, or into trouble_ what is wrong with it. As RecordReader::next.
  virtual bool next_row(std::string_view& input, bool last) = 0;

  void add_cell(std::string_view cell) {
    if (columns_.empty() || cells_.size() < columns_.size()) {
      cells_.emplace_back(cell);
    } else {
      surplus_ = true;
    }
  }

  const std::size_t bound_;         // of a row as written, where each quote may stand for two
  std::size_t row_line_ = 0;        // where the row begins
  std::optional<Failure> trouble_;  // its message is only the reason

 private:
  bool make_review(Review& review) {
    if (trouble_) return bad_row(review, trouble_->kind, trouble_->message);
    for (std::string& cell : cells_) review.repaired += repair(cell);
    if (columns_.empty()) {
      name_columns();
      if (options_.header) return false;
    }
    fields_.clear_values();
    for (std::size_t column = 0; column < cells_.size(); ++column) {
      fields_.set(columns_[column], {std::move(cells_[column]), false});
    }
    const std::string counts = "than the " + std::to_string(columns_.size()) + " columns of the first row";
    if (surplus_) return bad_row(review, "columns", "the row has more cells " + counts);
    if (fields_.find(options_.text_field) == nullptr)
      return bad_row(review, "columns", "the row has fewer cells " + counts);
    return assemble(fields_, row_line_, review);
  }

  bool bad_row(Review& review, const std::string& kind, const std::string& reason) const {
    set_id(review, row_line_);
    fail(review, row_line_, kind, reason);
    return true;
  }

  void name_columns() {
    std::string names;
    for (std::size_t column = 0; column < cells_.size(); ++column) {
      std::string name = options_.header ? cells_[column] : std::to_string(column + 1);
      if (names.size() < kOtherFields / 256) names += (column == 0 ? "" : ", ") + name;
      columns_.push_back(fields_.add(std::move(name)));
    }
    if (!fields_.named(options_.text_field)) {
      throw InputFailure("field", "there is no column \"" + options_.text_field + "\"; the columns are: " + names);
    }
  }

  bool has_id(const Value& id) const override { return !id.text.empty(); }

  std::vector<std::string> cells_;
  bool surplus_ = false;              // the row has more cells than there are columns
  std::vector<std::size_t> columns_;  // each one's place in fields_
  Fields fields_;
};

// RFC 4180 with a delimiter of choice; records of one or more lines. libcsv says nothing of lines, so it is fed line by
// line.
class CsvReader final : public TableReader {
 public:
  CsvReader(Origin origin, const InputOptions& options, char delimiter)
      : TableReader(std::move(origin), options), delimiter_(delimiter) {
    start_parser();
  }
  ~CsvReader() override { csv_free(&parser_); }
  CsvReader(const CsvReader&) = delete;
  CsvReader& operator=(const CsvReader&) = delete;

 private:
  bool next_row(std::string_view& input, bool last) override {
    if (!skip_bom(input, last)) return false;
    while (!input.empty()) {
      const std::size_t end = input.find_first_of("\r\n");
      const std::string_view piece = input.substr(0, end == std::string_view::npos ? end : end + 1);
      input.remove_prefix(piece.size());
      // \n, \r\n and a \r alone end a line.
      if (ends_line(last_byte_) && !(last_byte_ == '\r' && piece == "\n")) ++line_;
      last_byte_ = piece.back();
      if (take(piece)) return true;
    }
    return last && in_row_ && finish();
  }

  static bool ends_line(char c) { return c == '\n' || c == '\r'; }

  // Whether a row is whole with this piece, which is a line or a part of one.
  bool take(std::string_view piece) {
    if (skipping_) {
      skipping_ = !ends_line(piece.back());
      return false;
    }
    if (!in_row_) {
      if (piece == "\n" || piece == "\r") return false;
      in_row_ = true;
      row_line_ = line_;
      row_bytes_ = 0;
    }
    row_bytes_ += piece.size();
    if (row_bytes_ > bound_) {
      trouble_ = Failure{"size", "the row that begins here is " + too_large(options_) +
                                     "; a quote in it may be unterminated; reading goes on in line " +
                                     std::to_string(line_ + 1)};
      skipping_ = !ends_line(piece.back());
      in_row_ = false;
      csv_free(&parser_);
      start_parser();
      return true;
    }
    feed(piece);
    return !in_row_;
  }

  bool finish() {
    csv_set_opts(&parser_, CSV_STRICT | CSV_STRICT_FINI);  // else an open quote at the end would be closed in silence
    if (csv_fini(&parser_, on_cell, on_row, this) != 0) {
      trouble_ = Failure{
          "quote", "a quote in the row that begins here is unterminated, so that the row goes on to the end, line " +
                       std::to_string(line_)};
    }
    in_row_ = false;
    return true;
  }

  void feed(std::string_view bytes) {
    if (csv_parse(&parser_, bytes.data(), bytes.size(), on_cell, on_row, this) != bytes.size()) throw std::bad_alloc();
  }

  // False: not enough bytes yet to tell.
  bool skip_bom(std::string_view& input, bool last) {
    if (bom_done_) return true;
    while (bom_ < kBom.size() && !input.empty() && input.front() == kBom[bom_]) {
      ++bom_;
      input.remove_prefix(1);
    }
    if (bom_ < kBom.size() && input.empty() && !last) return false;
    bom_done_ = true;
    if (bom_ > 0 && bom_ < kBom.size()) take(kBom.substr(0, bom_));
    return true;
  }

  void start_parser() {
    if (csv_init(&parser_, 0) != 0) throw std::bad_alloc();
    csv_set_delim(&parser_, static_cast<unsigned char>(delimiter_));
    csv_set_space_func(&parser_, [](unsigned char) { return 0; });  // blanks around a cell are part of it (RFC 4180)
    csv_set_blk_size(&parser_, 16 * 1024);
  }

  static void on_cell(void* cell, std::size_t size, void* self) {
    static_cast<CsvReader*>(self)->add_cell({static_cast<const char*>(cell), size});
  }
  static void on_row(int, void* self) { static_cast<CsvReader*>(self)->in_row_ = false; }

  const char delimiter_;
  csv_parser parser_;
  std::size_t line_ = 1;
  char last_byte_ = 0;
  bool in_row_ = false;    // the parser is in the middle of one
  bool skipping_ = false;  // up to a line end, after too large a row
  std::size_t row_bytes_ = 0;
  std::size_t bom_ = 0;  // how many bytes of it were seen
  bool bom_done_ = false;
};

// Tab-separated cells in which a quote is a character like any other.
class RawTsvReader final : public TableReader {
 public:
  RawTsvReader(Origin origin, const InputOptions& options) : TableReader(std::move(origin), options), lines_(bound_) {}

 private:
  bool next_row(std::string_view& input, bool last) override {
    while (lines_.next(input, last)) {
      row_line_ = lines_.number();
      std::string_view rest = lines_.line();
      if (lines_.too_long()) {
        trouble_ = Failure{"size", "the row is " + too_large(options_)};
      } else if (rest.empty()) {
        continue;
      } else {
        for (std::size_t tab = rest.find('\t'); tab != std::string_view::npos; tab = rest.find('\t')) {
          add_cell(rest.substr(0, tab));
          rest.remove_prefix(tab + 1);
        }
        add_cell(rest);
      }
      return true;
    }
    return false;
  }

  LineSplitter lines_;
};

}  // namespace

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

std::size_t max_json_line(const InputOptions& options) { return 6 * options.max_review_bytes + kOtherFields; }

bool is_json_object(std::string_view line) {
  std::string copy(line);
  repair(copy);
  repair_surrogates(copy);
  Fields none;
  ObjectHandler handler(nullptr, none);
  return nlohmann::json::sax_parse(copy, &handler);
}

std::unique_ptr<RecordReader> open_records(InputFormat format, Origin origin, const InputOptions& options) {
  switch (format) {
    case InputFormat::jsonl:
      return std::make_unique<JsonLinesReader>(std::move(origin), options);
    case InputFormat::csv:
      return std::make_unique<CsvReader>(std::move(origin), options, ',');
    case InputFormat::tsv:
      if (options.quoting) return std::make_unique<CsvReader>(std::move(origin), options, '\t');
      return std::make_unique<RawTsvReader>(std::move(origin), options);
    case InputFormat::whole:
      return std::make_unique<WholeReader>(std::move(origin), options);
    case InputFormat::lines:
    case InputFormat::automatic:
      break;
  }
  return std::make_unique<LinesReader>(std::move(origin), options);
}

}  // namespace reviewrate
