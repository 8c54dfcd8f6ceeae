// Records of classify, line by line.
#include "predictions.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <system_error>

#include "labels.h"
#include "reviewrate/error.h"
#include "reviewrate/formatter.h"
#include "reviewrate/manifest.h"
#include "reviewrate/text.h"
#include "reviewrate/utf8.h"

namespace reviewrate::cli {
namespace {

constexpr std::size_t kMostLine = std::size_t{64} << 20;  // a record may carry its review along
constexpr std::size_t kMostBeginning = std::size_t{64} << 10;
constexpr std::size_t kMostError = std::size_t{1} << 20;
constexpr std::size_t kMostPlaces = 20;
constexpr std::size_t kShownBytes = 60;  // of what is no number

/// The fields of a record that are looked at; its text, for the reader of records, is the label.
InputOptions record_options(const std::string& prefix) {
  InputOptions options;
  options.text_field = prefix + "label";
  options.id_field = "\n";  // ids are taken as they are, be they empty
  options.pass_required = false;
  options.pass = {"id"};
  for (const char* name :
       {"score", "scores", "p_positive", "rating", "tokens", "truncated", "unsure", "effort", "error", "error_kind"})
    options.pass.push_back(prefix + name);
  options.max_review_bytes = kMostLine;
  return options;
}

const Value* find(const Review& review, std::string_view name) {
  const auto found =
      std::find_if(review.passed.begin(), review.passed.end(), [&](const Field& f) { return f.name == name; });
  return found == review.passed.end() ? nullptr : &found->value;
}

bool is_given(const Value* value, bool is_table) {
  return value != nullptr && !(is_table ? value->text.empty() : value->json && value->text == "null");
}

/// A number from `low` to `high`, as the records of the format have it.
std::optional<double> number(const Value* value, bool is_table, double low, double high) {
  if (value == nullptr || value->json == is_table) return std::nullopt;
  const std::optional<double> found = parse_number(value->text);
  return found && *found >= low && *found <= high ? found : std::nullopt;
}

std::optional<bool> boolean(const Value* value) {
  if (value == nullptr || (value->text != "true" && value->text != "false")) return std::nullopt;
  return value->text == "true";
}

/// Fills `record` from one record's fields; false if they are not those of a prediction or an error record.
bool take_fields(const Review& review, bool is_table, const std::string& prefix, PredictionRecord& record) {
  const Value* id = find(review, "id");
  if (id == nullptr || (id->json && (id->text.front() == '{' || id->text.front() == '['))) return false;
  record = {};
  record.id = *id;
  const Value* kind = find(review, prefix + (is_table ? "error_kind" : "error"));
  if (kind != nullptr && !kind->text.empty() && !(kind->json && kind->text == "null")) {
    record.failed = true;
    record.label = kind->text;
    if (!is_table) {
      if (!kind->json || kind->text.size() > kMostError) return false;
      const nlohmann::json error = nlohmann::json::parse(kind->text, nullptr, false);
      if (!error.is_object() || !error.contains("kind") || !error["kind"].is_string()) return false;
      record.label = error["kind"].get<std::string>();
    }
    return true;
  }
  const Value* positive = find(review, prefix + "p_positive");
  const Value* score = find(review, prefix + "score");
  record.has_positive = is_given(positive, is_table);
  if (review.failure || (!record.has_positive && !is_given(score, is_table))) return false;
  record.label = review.text;
  for (const auto& [name, value] : {std::pair("p_positive", positive), std::pair("score", score)}) {
    if (!is_given(value, is_table) || number(value, is_table, 0, 1)) continue;
    const bool is_text = !is_table && !value->json;  // in quotes, be it a number's digits
    record.fault = std::string("its ") + name + " is " +
                   (is_text ? json_string(shortened(value->text, kShownBytes)) : shown_label(value->text)) +
                   kNoProbability;
    return true;
  }
  record.score = number(score, is_table, 0, 1);
  record.p = record.has_positive ? *number(positive, is_table, 0, 1) : *record.score;
  const Value* scores = find(review, prefix + "scores");
  if (is_given(scores, is_table)) record.scores = scores->text;
  if (const auto rating = number(find(review, prefix + "rating"), is_table, 1, 10); rating) {
    record.rating = static_cast<int>(*rating);
  }
  const Value* tokens = find(review, prefix + "tokens");
  const std::optional<double> count = tokens == nullptr ? std::nullopt : parse_number(tokens->text);
  constexpr double kMostTokens = 1e15;  // a whole number up to it is exact
  if (count && *count >= 0 && *count <= kMostTokens) record.tokens = static_cast<std::size_t>(*count);
  record.truncated = boolean(find(review, prefix + "truncated"));
  record.unsure = boolean(find(review, prefix + "unsure"));
  if (const Value* effort = find(review, prefix + "effort"); effort != nullptr && !effort->json) {
    record.effort = effort->text;
  }
  return true;
}

bool parse_json(const std::string& line, const std::string& prefix, PredictionRecord& record) {
  const InputOptions options = record_options(prefix);
  const auto reader = open_records(InputFormat::jsonl, {"", ""}, options);
  std::string_view rest = line;
  Review review, second;
  return reader->next(rest, true, review) && take_fields(review, false, prefix, record) &&
         !reader->next(rest, true, second);
}

/// The names of the members of a JSON object, of a beginning of it too.
class MemberNames : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit MemberNames(std::string_view text) { nlohmann::json::sax_parse(text, this); }

  bool contains(const std::string& name) const { return names_.contains(name); }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return ++depth_ > 0; }
  bool end_object() override { return depth_-- > 0; }
  bool start_array(std::size_t) override { return ++depth_ > 0; }
  bool end_array() override { return depth_-- > 0; }
  bool key(string_t& name) override {
    if (depth_ == 1) names_.insert(name);
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override { return false; }

 private:
  std::size_t depth_ = 0;
  std::set<std::string> names_;
};

/// The format of a table with this header, if its columns are those of predictions.
std::optional<InputFormat> table_format(const std::string& header, const std::string& prefix) {
  for (const auto& [delimiter, format] : {std::pair(',', InputFormat::csv), std::pair('\t', InputFormat::tsv)}) {
    std::set<std::string> names;
    for (std::size_t begin = 0; begin <= header.size();) {
      const std::size_t end = std::min(header.find(delimiter, begin), header.size());
      names.insert(header.substr(begin, end - begin));
      begin = end + 1;
    }
    const auto has = [&](const char* name) { return names.contains(prefix + name); };
    if (names.contains("id") && has("label") && (has("score") || has("p_positive"))) {
      return format;
    }
  }
  return std::nullopt;
}

}  // namespace

bool is_prediction(std::string_view line) {
  PredictionRecord record;
  return parse_json(std::string(line), "", record) && record.fault.empty();
}

std::string recognize_output(const std::string& path, Waiter& waiter) {
  try {
    PredictionReader reader(path, waiter);
    if (const std::string what = reader.recognize(); !what.empty()) return what;
    PredictionRecord record;
    return reader.next(record) && reader.broken() == 0 ? "predictions without their reviews" : "";
  } catch (const Error&) {
    return "";
  }
}

PredictionReader::PredictionReader(const std::string& path, Waiter& waiter, std::string prefix)
    : path_(path), prefix_(std::move(prefix)), record_options_(record_options(prefix_)) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) throw Error(ErrorKind::input, path + ": is a folder");
  InputOptions options = record_options_;
  options.format = InputFormat::lines;
  options.or_typed = true;
  options.max_review_bytes = kMostLine;
  source_ = open_source({}, {path}, options, waiter);
}

std::string PredictionReader::recognize() {
  Line line;
  std::string beginning;
  while (beginning.size() < kMostBeginning && read_line(line)) {
    beginning += line.text + '\n';
    seen_.push_back(std::move(line));
    const std::string& first = seen_.front().text;
    if (first != "{" && first != "[") break;  // only JSON over several lines has to be seen further
  }
  PredictionRecord first;
  if (first_ || seen_.empty() || parse_json(seen_.front().text, prefix_, first)) return "";
  if (const std::optional<InputFormat> table = table_format(seen_.front().text, prefix_)) {
    format_ = *table;
    rows_ = open_records(format_, {path_, path_}, record_options_);
    return "";
  }
  const MemberNames names(beginning);
  const bool is_report = names.contains("program") && names.contains("parts") && names.contains("precision");
  return is_report ? "a report of eval --json" : "";
}

bool PredictionReader::next(PredictionRecord& record) {
  if (first_) return next_typed(record);
  if (is_table()) return next_row(record);
  for (Line line; take_line(line);) {
    if (line.valid && parse_json(line.text, prefix_, record)) {
      count(record, line.place);
      return true;
    }
    note_broken(line.place);
  }
  return false;
}

bool PredictionReader::next_typed(PredictionRecord& record) {
  while (!ended_) {
    const Review review = std::move(*first_);
    ended_ = source_->next(*first_, /*may_block=*/true) != Source::Status::review;
    if (review.failure && !review.has_fields) throw Error(ErrorKind::input, review.failure->message);
    if (take_fields(review, /*is_table=*/false, prefix_, record)) {
      count(record, review.id.text);
      return true;
    }
    note_broken(review.id.text);
  }
  return false;
}

bool PredictionReader::next_row(PredictionRecord& record) {
  while (true) {
    Review review;
    if (rows_->next(pending_, ended_, review)) {
      if (take_fields(review, true, prefix_, record)) {
        count(record, review.id.text);
        return true;
      }
      note_broken(review.id.text);
    } else if (ended_) {
      return false;
    } else if (Line line; take_line(line)) {
      // An empty line in the place of a damaged one keeps the count of lines.
      if (!line.valid) note_broken(line.place);
      row_bytes_ = (line.valid ? line.text : "") + '\n';
      pending_ = row_bytes_;
    } else {
      ended_ = true;
      pending_ = {};
    }
  }
}

bool PredictionReader::take_line(Line& line) {
  if (seen_.empty()) return read_line(line);
  line = std::move(seen_.front());
  seen_.pop_front();
  return true;
}

bool PredictionReader::read_line(Line& line) {
  Review review;
  if (source_->next(review, /*may_block=*/true) != Source::Status::review) return false;
  if (review.has_fields) {
    first_ = std::move(review);
    return false;
  }
  if (review.failure && review.failure->kind != "size") throw Error(ErrorKind::input, review.failure->message);
  // What is not UTF-8 is no JSON, though its repaired form may be.
  line = {review.id.text, std::move(review.text), review.repaired == 0 && !review.failure};
  return true;
}

void PredictionReader::count(const PredictionRecord& record, const std::string& place) {
  if (!record.fault.empty()) return note_broken(place, record.fault);
  ++records_;
  errors_ += record.failed ? 1 : 0;
  if (!record.failed) efforts_.insert(record.effort.empty() ? kFullEffort : record.effort);
}

std::string PredictionReader::efforts() const {
  std::string out;
  for (const std::string& effort : efforts_) out += (out.empty() ? "" : ", ") + effort;
  return out;
}

void PredictionReader::note_broken(const std::string& place, const std::string& fault) {
  ++broken_;
  if (broken_lines_.size() >= kMostPlaces) return;
  broken_lines_.push_back(failure_message(place, "is no prediction record" + (fault.empty() ? "" : ": " + fault)));
}

}  // namespace reviewrate::cli
