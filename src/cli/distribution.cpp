// The distributions of two runs, side by side.
#include "distribution.h"

#include <algorithm>
#include <locale>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <sstream>
#include <utility>

#include "labels.h"
#include "reviewrate/terminal_text.h"
#include "reviewrate/text.h"

namespace reviewrate::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostLabels = 20;  // of a run

std::optional<double> share(std::size_t part, std::size_t whole) {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

/// Empty without any.
std::optional<double> mean(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::size_t predictions(const Distribution& run) { return run.records - run.errors; }

std::optional<double> label_share(const Distribution& run, const std::string& label) {
  const auto found = run.labels.find(label);
  return share(found == run.labels.end() ? 0 : found->second, predictions(run));
}

/// Of sorted samples.
Shift shift(const std::vector<double>& before, const std::vector<double>& after) {
  return {population_stability(before, after), kolmogorov_smirnov(before, after)};
}

std::string shown(std::optional<double> value, int digits) { return value ? fixed(*value, digits) : "-"; }

/// The blanks that `text` lacks.
std::string padding(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, width_of(text)), ' ');
}

std::string row(const std::string& name, const std::string& before, const std::string& after) {
  constexpr std::size_t kName = 20, kCell = 12;
  return name + padding(name, kName) + ' ' + padding(before, kCell) + before + ' ' + padding(after, kCell) + after +
         '\n';
}

std::string shift_line(const std::string& name, const Shift& s) {
  std::ostringstream p;  // as small as 1e-300
  p.imbue(std::locale::classic());
  p.precision(3);
  p << s.ks.p;
  return name + ": population stability index " + fixed(s.psi, 4) + ", Kolmogorov-Smirnov " + fixed(s.ks.statistic, 4) +
         " (p " + p.str() + ")\n";
}

Json json_of(std::optional<double> value) { return value ? Json(*value) : Json(nullptr); }

Json json_of(const Shift& s) { return {{"psi", s.psi}, {"ks", s.ks.statistic}, {"ks_p", s.ks.p}}; }

Json json_of(const Distribution& run, const std::vector<std::string>& labels) {
  Json shares = Json::object();
  for (const std::string& label : labels) shares[label] = json_of(label_share(run, label));
  return {{"records", run.records},
          {"error_share", json_of(share(run.errors, run.records))},
          {"truncated_share", json_of(run.truncated.value())},
          {"unsure_share", json_of(run.unsure.value())},
          {"label_shares", std::move(shares)},
          {"p_positive_mean", json_of(mean(run.p_positive))},
          {"tokens_mean", json_of(mean(run.tokens))}};
}

}  // namespace

void Share::add(std::optional<bool> value) {
  known += value ? 1 : 0;
  count += value.value_or(false) ? 1 : 0;
}

std::optional<double> Share::value() const { return share(count, known); }

void Distribution::add(const PredictionRecord& record) {
  ++records;
  if (record.failed) {
    ++errors;
    return;
  }
  ++labels[record.label];
  truncated.add(record.truncated);
  unsure.add(record.unsure);
  if (record.tokens) tokens.push_back(static_cast<double>(*record.tokens));
  if (record.has_positive) p_positive.push_back(record.p);
}

std::string Distribution::obstacle() const {
  if (records == 0) return "there are no records";
  if (predictions(*this) == 0) return "all its records are error records: " + std::to_string(records);
  const std::size_t without = predictions(*this) - p_positive.size();
  return without > 0 ? std::to_string(without) + " of its " + std::to_string(predictions(*this)) +
                           " predictions have no p_positive, whose distribution is compared"
                     : "";
}

DistributionComparison::DistributionComparison(Distribution before, Distribution after)
    : before_(std::move(before)), after_(std::move(after)) {
  for (Distribution* run : {&before_, &after_}) {
    std::sort(run->p_positive.begin(), run->p_positive.end());
    std::sort(run->tokens.begin(), run->tokens.end());
    // Lengths of some of the records would tell of no run.
    if (run->tokens.size() < predictions(*run)) run->tokens.clear();
  }
  p_positive_ = shift(before_.p_positive, after_.p_positive);
  if (!before_.tokens.empty() && !after_.tokens.empty()) tokens_ = shift(before_.tokens, after_.tokens);
}

std::vector<std::string> DistributionComparison::labels() const {
  std::set<std::string> names;
  for (const Distribution* run : {&before_, &after_}) {
    std::vector<std::pair<std::size_t, std::string>> by_count;
    for (const auto& [label, count] : run->labels) by_count.emplace_back(count, label);
    std::sort(by_count.rbegin(), by_count.rend());
    by_count.resize(std::min(by_count.size(), kMostLabels));
    for (auto& [count, label] : by_count) names.insert(std::move(label));
  }
  return {names.begin(), names.end()};
}

std::string DistributionComparison::text(std::optional<double> max_psi) const {
  std::string out = row("", "old", "new");
  const auto add = [&](const std::string& name, std::optional<double> before, std::optional<double> after, int digits) {
    out += row(name, shown(before, digits), shown(after, digits));
  };
  out += row("records", std::to_string(before_.records), std::to_string(after_.records));
  constexpr int kShareDigits = 4;
  add("error records", share(before_.errors, before_.records), share(after_.errors, after_.records), kShareDigits);
  for (const std::string& label : labels()) {
    add("label " + shown_label(label), label_share(before_, label), label_share(after_, label), kShareDigits);
  }
  add("truncated", before_.truncated.value(), after_.truncated.value(), kShareDigits);
  add("unsure", before_.unsure.value(), after_.unsure.value(), kShareDigits);
  add("p_positive, mean", mean(before_.p_positive), mean(after_.p_positive), kShareDigits);
  add("tokens, mean", mean(before_.tokens), mean(after_.tokens), 1);
  out += shift_line("p_positive", p_positive_);
  out += tokens_ ? shift_line("tokens", *tokens_) : "tokens: not in all predictions of both runs\n";
  if (!holds(max_psi)) out += "population stability index of p_positive above " + shortest(*max_psi) + " (--max-psi)\n";
  return out;
}

nlohmann::ordered_json DistributionComparison::json(std::optional<double> max_psi) const {
  const std::vector<std::string> names = labels();
  return {{"old", json_of(before_, names)},     {"new", json_of(after_, names)},
          {"p_positive", json_of(p_positive_)}, {"tokens", tokens_ ? json_of(*tokens_) : Json(nullptr)},
          {"max_psi", json_of(max_psi)},        {"holds", holds(max_psi)}};
}

}  // namespace reviewrate::cli
