// An evaluation as JSON and as JUnit's XML.
#include "eval_report.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "reviewrate/manifest.h"
#include "reviewrate/text.h"

namespace reviewrate::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kCurvePoints = 500;

Json json_of(std::optional<double> value) { return value ? Json(*value) : Json(nullptr); }

/// How many reviews of each label were called each: binary by names, multiclass a row a label.
Json confusion_json(const Confusion& c, Task task) {
  if (task == Task::binary) {
    return {{"true_positive", c(1, 1)},
            {"false_positive", c(0, 1)},
            {"true_negative", c(0, 0)},
            {"false_negative", c(1, 0)}};
  }
  Json rows = Json::array();
  for (std::size_t label = 0; label < c.labels; ++label) {
    const auto row = c.counts.begin() + static_cast<std::ptrdiff_t>(label * c.labels);
    rows.push_back(std::vector(row, row + static_cast<std::ptrdiff_t>(c.labels)));
  }
  return rows;
}

Json part_json(const Part& part, const MeasuredLabels& labels) {
  Json measures, intervals;
  for (std::size_t m = 0; m < part.evaluation.measured().size(); ++m) {
    const std::string name = measure_title(part.evaluation.measured()[m], labels);
    measures[name] = json_of(part.evaluation.measures()[m]);
    intervals[name] = part.intervals[m] ? Json{part.intervals[m]->low, part.intervals[m]->high} : Json(nullptr);
  }
  return {{"reviews", part.evaluation.size()},
          {"measures", measures},
          {"intervals", intervals},
          {"confusion", confusion_json(part.evaluation.confusion(), labels.task)}};
}

Json curve_json(const Evaluation& evaluation) {
  Json out = {{"threshold", Json::array()},
              {"true_positive_rate", Json::array()},
              {"false_positive_rate", Json::array()},
              {"precision", Json::array()}};
  const auto share = [](std::size_t part, std::size_t whole) {
    return whole == 0 ? Json(nullptr) : Json(static_cast<double>(part) / static_cast<double>(whole));
  };
  for (const CurvePoint& point : evaluation.curve(kCurvePoints)) {
    out["threshold"].push_back(json_of(point.threshold));
    out["true_positive_rate"].push_back(share(point.true_positive, evaluation.reviews_of(1)));
    out["false_positive_rate"].push_back(share(point.false_positive, evaluation.reviews_of(0)));
    out["precision"].push_back(share(point.true_positive, point.true_positive + point.false_positive));
  }
  return out;
}

Json coverage_json(const Evaluation& evaluation) {
  Json out = {{"coverage", Json::array()}, {"accuracy", Json::array()}};
  for (const CoveragePoint& point : evaluation.coverage_curve(kCurvePoints)) {
    out["coverage"].push_back(point.coverage);
    out["accuracy"].push_back(point.accuracy);
  }
  return out;
}

Json calibration_json(const Evaluation& evaluation) {
  Json out = Json::array();
  double low = 0;
  for (const CalibrationBin& bin : evaluation.calibration()) {
    if (bin.count > 0) {
      out.push_back({{"from", low / kCalibrationBins},
                     {"to", (low + 1) / kCalibrationBins},
                     {"reviews", bin.count},
                     {"confidence", bin.confidence},
                     {"accuracy", bin.accuracy}});
    }
    ++low;
  }
  return out;
}

Json taken_json(const EvalReport& r) {
  Json out = Json::array();
  for (const TakenLabel& taken : r.taken_labels) {
    out.push_back({{"value", taken.value},
                   {"folder", taken.is_folder},
                   {"label", taken.label.empty() ? Json(nullptr) : Json(taken.label)},
                   {"reviews", taken.reviews}});
  }
  return out;
}

Json stars_json(const StarFindings& stars) {
  const auto& scale = stars.asked();
  return {{"reviews", stars.reviews()},
          {"bad", stars.bad()},
          {"low", json_of(stars.low())},
          {"high", json_of(stars.high())},
          {"scale", scale ? Json{scale->low, scale->high} : Json(nullptr)},
          {"withheld", stars.withheld()}};
}

}  // namespace

std::string measure_title(MeasureOf measure, const MeasuredLabels& labels) {
  const std::string name(measure_name(measure.measure));
  return measure.label ? name + ':' + labels.names[*measure.label] : name;
}

std::string model_text(const EvalReport& r) {
  const bool tells_effort = r.effort != kFullEffort && r.effort != r.precision;  // predictions tell neither
  return r.model + ", " + r.precision + (tells_effort ? ", " + r.effort : "");
}

std::string decimals(std::optional<double> value) { return value ? fixed(*value, 4) : "-"; }

std::string command_line(const EvalReport& r) {
  std::string out;
  for (const std::string& word : r.command) {
    constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%^";
    std::string quoted = word;
    if (word.empty() || word.find_first_not_of(kPlain) != std::string::npos) {
      quoted = "'";
      for (const char c : word) quoted += c == '\'' ? "'\\''" : std::string(1, c);
      quoted += '\'';
    }
    out += (out.empty() ? "" : " ") + quoted;
  }
  return out;
}

std::string report_json(const EvalReport& r) {
  Json out = {
      {"format", 1},
      {"program", {{"name", "reviewrate"}, {"version", REVIEWRATE_VERSION}}},
      {"run", {{"command", r.command}, {"files", r.files}, {"date", r.date}}},
      {"model", {{"name", r.model}, {"sha256", r.model_sha256}, {"max_tokens", r.max_tokens}}},
      {"precision", r.precision},
      {"effort", r.effort},
      {"long_text", r.long_text},
      {"rating", r.rating},
      {"threshold", json_of(r.threshold)},
      {"labels", r.labels.names},
      {"input",
       {{"sha256", r.input_sha256}, {"labelled", r.labelled}, {"failed", r.failed}, {"unlabelled", r.unlabelled}}},
      {"label_values", taken_json(r)},
      {"stars", stars_json(r.stars)},
      {"parts", Json::object()}};
  const bool binary = r.labels.task == Task::binary;
  if (!binary) out.erase("threshold");
  for (const Part& part : r.parts) out["parts"][part.key] = part_json(part, r.labels);
  const Evaluation& all = r.parts.front().evaluation;
  if (binary) out["curve"] = curve_json(all);
  out["coverage"] = coverage_json(all);
  out["calibration"] = calibration_json(all);
  out["ratings_by_stars"] = Json::array();
  for (const auto& [stars, counts] : all.ratings_by_stars()) {
    out["ratings_by_stars"].push_back(
        {{"stars", stars}, {"ratings_1_to_10", std::vector<std::size_t>(counts.begin() + 1, counts.end())}});
  }
  out["mistakes"] = Json::array();
  for (const Mistake& m : r.mistakes) {
    Json& mistake = out["mistakes"].emplace_back(Json{{"id", m.id.text}, {"label", r.labels.names[m.label]}});
    if (!m.p) mistake["predicted"] = r.labels.names[m.called];
    mistake[m.p ? "p_positive" : "score"] = m.p.value_or(m.score);
    mistake.update({{"stars", json_of(m.stars)}, {"tokens", m.tokens > 0 ? Json(m.tokens) : Json()}, {"text", m.text}});
  }
  out["failures"] = Json::array();
  for (const Failure& f : r.failures) out["failures"].push_back({{"kind", f.kind}, {"message", f.message}});
  out["gates"] = Json::array();
  for (const Gate& g : r.gates) out["gates"].push_back({{"name", g.name}, {"holds", g.holds}, {"found", g.found}});
  if (r.comparison) {
    Json changes = Json::object();
    for (const Change& c : r.comparison->changes) {
      changes[c.name] = {{"old", json_of(c.before)}, {"new", json_of(c.after)}};
      if (!c.difference) continue;
      changes[c.name]["difference_interval"] = {c.difference->low, c.difference->high};
    }
    out["baseline"] = {{"old", r.comparison->before},
                       {"new", r.comparison->after},
                       {"old_threshold", json_of(r.comparison->before_threshold)},
                       {"changes", changes},
                       {"mcnemar_p", json_of(r.comparison->mcnemar)},
                       {"verdict", r.comparison->verdict}};
    if (!r.comparison->before_threshold) out["baseline"].erase("old_threshold");
  }
  out["outcomes"] = r.outcomes;
  return out.dump(1, ' ', false, Json::error_handler_t::replace) + '\n';
}

std::string report_junit(const EvalReport& r) {
  std::string cases;
  std::size_t failures = 0;
  const auto add = [&](const std::string& name, bool holds, const std::string& found) {
    cases += "  <testcase classname=\"reviewrate.eval\" name=\"" + escape_markup(name) + "\"";
    failures += holds ? 0 : 1;
    cases += holds ? "/>\n" : "><failure message=\"" + escape_markup(found) + "\"/></testcase>\n";
  };
  std::string reasons;
  for (const Failure& f : r.failures) reasons += "; " + f.message;
  add("every review is classified", r.failed == 0, std::to_string(r.failed) + " failed" + reasons);
  add("there are labelled reviews", r.labelled > 0, "none has a label");
  const bool has_stars = r.stars.reviews() > 0;
  if (has_stars) add("every review's stars are read", r.stars.bad() == 0, r.stars.seen());
  for (const Gate& gate : r.gates) add(gate.name, gate.holds, gate.found);
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"reviewrate eval\" tests=\"" +
         std::to_string(r.gates.size() + (has_stars ? 3 : 2)) + "\" failures=\"" + std::to_string(failures) + "\">\n" +
         cases + "</testsuite>\n";
}

}  // namespace reviewrate::cli
