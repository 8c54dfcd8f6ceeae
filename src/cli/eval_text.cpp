// An evaluation as tables for people, on a terminal or in a log.
#include <algorithm>
#include <numeric>

#include "eval_report.h"
#include "reviewrate/printable.h"
#include "reviewrate/terminal_text.h"
#include "reviewrate/text.h"

namespace reviewrate::cli {
namespace {

constexpr std::size_t kName = 18;
constexpr std::size_t kMostColumns = 80;  // that a confusion matrix may take

std::string padded(std::string text, std::size_t width, bool left = false) {
  const std::size_t columns = width_of(text);
  const std::string blanks(columns < width ? width - columns : 0, ' ');
  return left ? text + blanks : blanks + text;
}

/// A label's name in the first column: of a long one the beginning, behind its number where that stands for it.
std::string label_cell(const EvalReport& r, std::size_t label, bool numbered) {
  const std::string name = (numbered ? std::to_string(label + 1) + ' ' : "") + printable(r.labels.names[label]);
  if (width_of(name) <= kName) return padded(name, kName, true);
  return padded(name.substr(0, bytes_within(name, kName - 1)) + "\xE2\x80\xA6", kName, true);
}

/// What a column of a confusion matrix is called: names where all of them have room, else numbers.
struct ConfusionColumns {
  bool numbered = false;
  std::size_t width = 0;  // of each
};

ConfusionColumns confusion_columns(const EvalReport& r) {
  const Confusion c = r.parts.front().evaluation.confusion();
  const std::size_t digits = std::to_string(*std::max_element(c.counts.begin(), c.counts.end())).size();
  const std::size_t longest = std::transform_reduce(
      r.labels.names.begin(), r.labels.names.end(), digits, [](std::size_t a, std::size_t b) { return std::max(a, b); },
      [](const std::string& name) { return width_of(printable(name)); });
  if (kName + c.labels * (longest + 2) <= kMostColumns) return {false, longest + 2};
  return {true, std::max(digits, std::to_string(c.labels).size()) + 2};
}

/// What is measured of each label.
std::string label_table(const EvalReport& r) {
  const Evaluation& all = r.parts.front().evaluation;
  const bool numbered = confusion_columns(r).numbered;
  std::string out =
      '\n' + padded("label", kName, true) + "  reviews precision recall     f1 roc_auc average_precision\n";
  for (std::size_t label = 0; label < all.labels(); ++label) {
    const auto cell = [&](Measure measure, std::size_t width) {
      return padded(decimals(all.value({measure, label})), width);
    };
    out += label_cell(r, label, numbered) + padded(std::to_string(all.reviews_of(label)), 9) +
           cell(Measure::precision, 10) + cell(Measure::recall, 7) + cell(Measure::f1, 7) + cell(Measure::roc_auc, 8) +
           cell(Measure::average_precision, 18) + '\n';
  }
  return out;
}

/// A row a label of reviews, a column a label that was given; where that is too much for a table, where else it is.
std::string confusion_table(const EvalReport& r) {
  const Confusion c = r.parts.front().evaluation.confusion();
  const ConfusionColumns columns = confusion_columns(r);
  if (kName + c.labels * columns.width > kMostColumns) {
    return "\nThe confusion matrix of " + std::to_string(c.labels) + " labels: --report, --json\n";
  }
  std::string out = '\n' + padded("label, called", kName, true);
  for (std::size_t label = 0; label < c.labels; ++label) {
    out += padded(columns.numbered ? std::to_string(label + 1) : printable(r.labels.names[label]), columns.width);
  }
  for (std::size_t label = 0; label < c.labels; ++label) {
    out += '\n' + label_cell(r, label, columns.numbered);
    for (std::size_t called = 0; called < c.labels; ++called) {
      out += padded(std::to_string(c(label, called)), columns.width);
    }
  }
  return out + '\n';
}

}  // namespace

std::string report_text(const EvalReport& r) {
  std::string out = model_text(r) + ", long reviews " + r.long_text + ": " + counted(r.labelled, "labelled review") +
                    ", " + std::to_string(r.failed) + " failed, " + std::to_string(r.unlabelled) +
                    " without a label left out" +
                    (r.stars.reviews() > 0 ? ", " + counted(r.stars.bad(), "bad star") : "") + "\n";
  constexpr std::size_t kCell = 10, kWide = 18;
  out += padded("", kName) + padded(r.parts.front().title, kCell) + padded("95 % interval", kWide);
  for (std::size_t i = 1; i < r.parts.size(); ++i) out += padded(r.parts[i].title, kCell + 4);
  out += '\n' + padded("reviews", kName, true) + padded(std::to_string(r.parts.front().evaluation.size()), kCell) +
         padded("", kWide);
  for (std::size_t i = 1; i < r.parts.size(); ++i) {
    out += padded(std::to_string(r.parts[i].evaluation.size()), kCell + 4);
  }
  out += '\n';
  const std::vector<MeasureOf>& measured = r.parts.front().evaluation.measured();
  for (std::size_t m = 0; m < measured.size() && !measured[m].label; ++m) {
    const auto& interval = r.parts.front().intervals[m];
    out += padded(measure_title(measured[m], r.labels), kName, true) +
           padded(decimals(r.parts.front().evaluation.measures()[m]), kCell) +
           padded(interval ? decimals(interval->low) + " - " + decimals(interval->high) : "", kWide);
    for (std::size_t i = 1; i < r.parts.size(); ++i) {
      out += padded(decimals(r.parts[i].evaluation.measures()[m]), kCell + 4);
    }
    out += '\n';
  }
  if (r.labels.task == Task::multiclass) out += label_table(r) + confusion_table(r);
  if (r.comparison) {
    if (r.labels.task == Task::multiclass) out += '\n';
    out += padded("", kName) + padded(r.comparison->before, kWide) + padded(r.comparison->after, kWide) +
           padded("difference", kCell + 2) + '\n';
    for (const Change& change : r.comparison->changes) {
      if (change.of_label) continue;  // they have long names, and stand in the other forms
      const bool both = change.before && change.after;
      out += padded(change.name, kName, true) + padded(decimals(change.before), kWide) +
             padded(decimals(change.after), kWide) +
             padded(both ? decimals(*change.after - *change.before) : "-", kCell + 2) +
             (change.difference ? "  " + decimals(change.difference->low) + " to " + decimals(change.difference->high)
                                : "") +
             '\n';
    }
    out += r.comparison->verdict + '\n';
  }
  return out;
}

}  // namespace reviewrate::cli
