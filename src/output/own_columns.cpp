// One table of all fields; the formats differ in which of them they have.
#include "own_columns.h"

#include <algorithm>
#include <array>
#include <functional>
#include <set>

#include "reviewrate/text.h"

namespace reviewrate {
namespace {

using Labels = std::vector<std::string>;
using Cell = std::optional<Value>;

/// The shortest number that reads back as `value`, never without a point: "1" would be an integer to a JSON reader that
/// tells the two apart.
Cell number(double value) {
  std::string text = shortest(value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return Value{text, true};
}

Cell count(std::size_t value) { return Value{std::to_string(value), true}; }
Cell boolean(bool value) { return Value{value ? "true" : "false", true}; }

/// A column that only rated records have.
template <Cell (*Of)(const Prediction&)>
Cell of_prediction(const Outcome& outcome, const Labels&) {
  return outcome.prediction ? Of(*outcome.prediction) : Cell();
}

Cell score(const Prediction& p) { return number(p.score); }
Cell positive(const Prediction& p) { return p.positive ? number(*p.positive) : Cell(); }
Cell rating(const Prediction& p) { return p.rating ? Cell(Value{std::to_string(*p.rating), true}) : Cell(); }
Cell tokens(const Prediction& p) { return count(p.tokens); }
Cell truncated(const Prediction& p) { return boolean(p.truncated); }
Cell windows(const Prediction& p) { return count(p.windows); }

Cell id(const Outcome& outcome, const Labels&) { return outcome.review.id; }

Cell label(const Outcome& outcome, const Labels& labels) {
  return outcome.prediction ? Cell(Value{labels[outcome.prediction->label], false}) : Cell();
}

Cell repaired(const Outcome& outcome, const Labels&) {
  return outcome.review.repaired > 0 ? count(outcome.review.repaired) : Cell();
}

Cell empty(const Outcome& outcome, const Labels&) {
  return outcome.prediction && is_blank(outcome.review.text) ? boolean(true) : Cell();
}

Cell error(const Outcome& outcome, const Labels&) {
  const std::optional<Failure>& failure = outcome.review.failure;
  if (!failure) return {};
  return Value{"{\"kind\": " + json_string(failure->kind) + ", \"message\": " + json_string(failure->message) + "}",
               true};
}

Cell error_kind(const Outcome& outcome, const Labels&) {
  return outcome.review.failure ? Cell(Value{outcome.review.failure->kind, false}) : Cell();
}

Cell error_message(const Outcome& outcome, const Labels&) {
  return outcome.review.failure ? Cell(Value{outcome.review.failure->message, false}) : Cell();
}

Cell unsure(const Outcome& outcome, const Labels&) {
  return outcome.prediction && !outcome.prediction->unsure.empty() ? boolean(true) : Cell();
}

Cell unsure_reason(const Outcome& outcome, const Labels&) {
  return outcome.prediction && !outcome.prediction->unsure.empty() ? Cell(Value{outcome.prediction->unsure, false})
                                                                   : Cell();
}

/// The probability of each label, as a JSON object in the labels' order.
Cell scores(const Outcome& outcome, const Labels& labels) {
  if (!outcome.prediction) return {};
  std::string out;
  for (std::size_t label = 0; label < labels.size(); ++label) {
    out += (out.empty() ? "{" : ", ") + json_string(labels[label]) + ": " +
           number(outcome.prediction->probabilities[label])->text;
  }
  return Value{out + "}", true};
}

Cell effort(const Outcome& outcome, const Labels&) {
  return outcome.prediction ? Cell(Value{outcome.prediction->effort, false}) : Cell();
}

/// The parts of an explanation as a JSON array; `text` is the review.
std::string parts_json(const std::vector<ExplainedPart>& parts, const std::string& text) {
  std::string out;
  for (const ExplainedPart& part : parts) {
    out += (out.empty() ? "{\"start\": " : ", {\"start\": ") + std::to_string(part.begin) +
           ", \"end\": " + std::to_string(part.end) +
           ", \"text\": " + json_string(text.substr(part.begin_byte, part.end_byte - part.begin_byte)) +
           ", \"contribution\": " + number(part.contribution)->text;
    if (!part.seen) out += ", \"seen\": false";
    if (!part.words.empty()) out += ", \"words\": " + parts_json(part.words, text);
    out += '}';
  }
  return '[' + out + ']';
}

Cell explanation(const Outcome& outcome, const Labels&) {
  if (!outcome.prediction || !outcome.prediction->explanation) return {};
  return Value{explanation_json(*outcome.prediction->explanation, outcome.review.text), true};
}

constexpr std::array<OwnColumn, 8> kFirst = {{{"id", id},
                                              {"label", label},
                                              {"score", of_prediction<score>, ArrowType::real},
                                              {"p_positive", of_prediction<positive>, ArrowType::real},
                                              {"rating", of_prediction<rating>, ArrowType::rating},
                                              {"tokens", of_prediction<tokens>, ArrowType::count},
                                              {"truncated", of_prediction<truncated>, ArrowType::boolean},
                                              {"windows", of_prediction<windows>, ArrowType::count}}};
constexpr OwnColumn kRepaired = {"repaired", repaired, ArrowType::count, "0"};
constexpr OwnColumn kEmpty = {"empty", empty, ArrowType::boolean, "false"};
constexpr std::array<OwnColumn, 2> kUnsure = {
    {{"unsure", unsure, ArrowType::boolean, "false"}, {"unsure_reason", unsure_reason}}};
constexpr OwnColumn kScores = {"scores", scores};
constexpr OwnColumn kEffort = {"effort", effort};
constexpr OwnColumn kExplanation = {"explanation", explanation};
constexpr OwnColumn kError = {"error", error, ArrowType::failure};
constexpr std::array<OwnColumn, 2> kErrorCells = {{{"error_kind", error_kind}, {"error_message", error_message}}};

/// The fields of JSON records or of tables, in order, with those that only some runs have if `options` ask for them.
std::vector<OwnColumn> own_columns(const OutputOptions& options) {
  std::vector<OwnColumn> columns(kFirst.begin(), kFirst.end());
  if (is_table(options.format)) {
    columns.push_back(kRepaired);
    columns.insert(columns.end(), kErrorCells.begin(), kErrorCells.end());
  } else {
    columns.push_back(kError);
    columns.push_back(kRepaired);
    columns.push_back(kEmpty);
  }
  if (has_scores(options.labels)) columns.push_back(kScores);
  if (options.unsure) columns.insert(columns.end(), kUnsure.begin(), kUnsure.end());
  if (options.explained) columns.push_back(kExplanation);
  if (options.effort) columns.push_back(kEffort);
  return columns;
}

/// All that there are in records of that format.
std::vector<OwnColumn> all_columns(OutputFormat format) {
  OutputOptions options;
  options.format = format;
  options.labels.resize(3);  // as many as have scores
  options.unsure = options.explained = options.effort = true;
  return own_columns(options);
}

}  // namespace

bool has_scores(const std::vector<std::string>& labels) { return labels.size() > 2; }

std::string explanation_json(const Explanation& explanation, const std::string& text) {
  return "{\"base\": " + number(explanation.base)->text + ", \"remainder\": " + number(explanation.remainder)->text +
         ", \"evaluations\": " + std::to_string(explanation.evaluations) +
         ", \"parts\": " + parts_json(explanation.parts, text) + "}";
}

std::vector<OwnColumn> chosen_columns(const OutputOptions& options) {
  std::vector<OwnColumn> all = own_columns(options);
  if (options.own.empty()) return all;
  std::vector<OwnColumn> chosen;
  if (is_table(options.format)) all.push_back(kEmpty);  // only where it is asked for
  for (const std::string& name : options.own) {
    const auto found = std::find_if(all.begin(), all.end(), [&](const OwnColumn& c) { return c.name == name; });
    if (found != all.end()) chosen.push_back(*found);
  }
  for (const OwnColumn& column : all) {  // why a record failed is told in any case
    if (column.name.starts_with("error")) chosen.push_back(column);
  }
  return chosen;
}

std::vector<std::string_view> taken_names() {
  std::vector<std::string_view> names = {kError.name, kEmpty.name};
  for (const OwnColumn& column : all_columns(OutputFormat::csv)) names.push_back(column.name);
  return names;
}

std::vector<std::string> column_names() {
  std::vector<std::string> names;
  for (const OwnColumn& column : all_columns(OutputFormat::jsonl)) {
    if (column.name != kError.name) names.emplace_back(column.name);
  }
  return names;
}

std::vector<std::string> added_names(const OutputOptions& options) {
  std::vector<std::string> names;
  for (const OwnColumn& column : chosen_columns(options)) {
    if (column.name != "id") names.push_back(options.prefix + std::string(column.name));
  }
  return names;
}

std::vector<std::string> passed_names(const std::vector<std::string_view>& names) {
  if (names.empty()) return {};
  const std::vector<std::string_view> own = taken_names();
  std::set<std::string, std::less<>> taken(own.begin(), own.end());
  std::vector<std::string> out(names.size());
  std::vector<std::size_t> unnamed;
  for (std::size_t i = 0; i < names.size(); ++i) {
    out[i] = names[i];
    if (!taken.insert(out[i]).second) unnamed.push_back(i);
  }
  for (const std::size_t i : unnamed) {
    while (!taken.insert(out[i]).second) out[i].insert(0, "input_");
  }
  return out;
}

bool has_id(const std::vector<std::string>& names) {
  return std::find(names.begin(), names.end(), "id") != names.end();
}

std::string added_name(const OwnColumn& column, const OutputOptions& options) {
  return (column.name == "id" ? "" : options.prefix) + std::string(column.name);
}

std::string failure_name(const OutputOptions& options) {
  const std::string name(is_table(options.format) ? kErrorCells.front().name : kError.name);
  return options.prefix + name;
}

}  // namespace reviewrate
