// reviewrate diff: compares two files of predictions by id, or by how their numbers are distributed.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <locale>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "command.h"
#include "console.h"
#include "distribution.h"
#include "exit_status.h"
#include "help.h"
#include "labels.h"
#include "options.h"
#include "output_plan.h"
#include "predictions.h"
#include "reviewrate/error.h"
#include "reviewrate/formatter.h"
#include "reviewrate/output_file.h"
#include "reviewrate/output_stream.h"
#include "reviewrate/record_reader.h"
#include "reviewrate/text.h"
#include "reviewrate/utf8.h"

namespace reviewrate::cli {
namespace {

struct DiffOptions {
  std::vector<std::string> files;
  double tolerance = 1e-6;
  bool distribution = false;
  std::optional<double> max_psi;
  std::string json;
};

constexpr std::size_t kShown = 20;
constexpr std::size_t kShownBytes = 120;  // of an id or label

std::string cut(const std::string& text) { return shortened(text, kShownBytes); }

/// What is compared of a record.
struct Line {
  std::string id;  ///< as JSON, so that 5 and "5" differ; in quotes all where a table is compared, which has no types
  std::string label;
  double p = 0;
  bool failed = false;  ///< an error record; the label is its kind

  std::string words() const {
    std::ostringstream out;
    out.imbue(std::locale::classic());
    out << (failed ? "ERROR " : "") << cut(label);
    if (!failed) out << ' ' << p;
    return out.str();
  }
};

/// Pairs the records of two files by id, the first of an id with the first, the second with the second. Files in the
/// same order take no memory: only records whose partner is still to come are kept.
class Pairing {
 public:
  void add(bool is_new, Line line) {
    Waiting& partners = waiting_[is_new ? 0 : 1];
    if (const auto found = partners.find(line.id); found != partners.end()) {
      const Line partner = std::move(found->second.front());
      found->second.pop_front();
      if (found->second.empty()) partners.erase(found);
      is_new ? compare(partner, line) : compare(line, partner);
    } else {
      std::string id = line.id;
      waiting_[is_new ? 1 : 0][std::move(id)].push_back(std::move(line));
    }
  }

  std::size_t compared() const { return compared_; }
  std::size_t failed() const { return failed_; }  ///< pairs with an error record

  /// What was found, for people. True if all is within `tolerance`.
  bool report(double tolerance, std::string& out) const {
    const std::size_t missing = count(waiting_[0]);
    const std::size_t added = count(waiting_[1]);
    std::ostringstream text;
    text.imbue(std::locale::classic());
    text << compared_ << " compared";
    if (failed_ > 0) text << " (" << failed_ << " of them error records)";
    text << ", " << missing << " missing, " << added << " added, " << counted(flips_, "label")
         << " flipped, largest change of probability " << largest_ << " (tolerance " << tolerance << ")\n";
    list(text, "missing", waiting_[0]);
    list(text, "added", waiting_[1]);
    for (const Change& c : flipped_) text << "flip " << cut(c.id) << ": " << c.words << '\n';
    for (const Change& c : changed_) {
      if (c.size > tolerance) text << "change " << cut(c.id) << ": " << c.words << '\n';
    }
    out = text.str();
    return same(tolerance);
  }

  /// The same for scripts; of the lists, their first ones.
  nlohmann::ordered_json json(double tolerance) const {
    nlohmann::ordered_json out = {
        {"compared", compared_},       {"failed", failed_},      {"missing", count(waiting_[0])},
        {"added", count(waiting_[1])}, {"flips", flips_},        {"largest_change", largest_},
        {"tolerance", tolerance},      {"same", same(tolerance)}};
    for (const auto& [key, waiting] : {std::pair("missing_ids", &waiting_[0]), std::pair("added_ids", &waiting_[1])}) {
      out[key] = first_ids(*waiting);
    }
    for (const auto& [key, changes] : {std::pair("flipped", &flipped_), std::pair("changed", &changed_)}) {
      out[key] = nlohmann::ordered_json::array();
      for (const Change& c : *changes) {
        if (key[0] == 'f' || c.size > tolerance) out[key].push_back({{"id", c.id}, {"change", c.words}});
      }
    }
    return out;
  }

 private:
  using Waiting = std::unordered_map<std::string, std::deque<Line>>;

  struct Change {
    std::string id;
    std::string words;
    double size;
  };

  void compare(const Line& before, const Line& after) {
    ++compared_;
    failed_ += before.failed || after.failed ? 1 : 0;
    const bool flip = before.label != after.label || before.failed != after.failed;
    const double size = before.failed || after.failed ? 0 : std::abs(after.p - before.p);
    largest_ = std::max(largest_, size);
    flips_ += flip ? 1 : 0;
    if (flip) keep(flipped_, {before.id, before.words() + " -> " + after.words(), size});
    if (!flip && size > 0) keep(changed_, {before.id, before.words() + " -> " + after.words(), size});
  }

  /// Keeps the largest.
  static void keep(std::vector<Change>& kept, Change change) {
    const auto larger = [](const Change& a, const Change& b) { return a.size > b.size; };
    kept.insert(std::upper_bound(kept.begin(), kept.end(), change, larger), change);
    if (kept.size() > kShown) kept.pop_back();
  }

  static std::size_t count(const Waiting& waiting) {
    std::size_t n = 0;
    for (const auto& [id, lines] : waiting) n += lines.size();
    return n;
  }

  bool same(double tolerance) const {
    return count(waiting_[0]) == 0 && count(waiting_[1]) == 0 && flips_ == 0 && largest_ <= tolerance;
  }

  static std::vector<std::string> first_ids(const Waiting& waiting) {
    std::vector<std::string> ids;
    for (const auto& [id, lines] : waiting) ids.insert(ids.end(), lines.size(), id);
    std::sort(ids.begin(), ids.end());  // the map's order is nobody's
    ids.resize(std::min(ids.size(), kShown));
    return ids;
  }

  static void list(std::ostream& text, const char* what, const Waiting& waiting) {
    for (const std::string& id : first_ids(waiting)) text << what << ' ' << cut(id) << '\n';
  }

  std::array<Waiting, 2> waiting_;  // of the old file, of the new one
  std::size_t compared_ = 0;
  std::size_t failed_ = 0;
  std::size_t flips_ = 0;
  double largest_ = 0;
  std::vector<Change> flipped_;
  std::vector<Change> changed_;
};

/// Says which lines are no records; false if none is one.
bool print_broken(const std::string& file, const PredictionReader& predictions) {
  if (predictions.broken() == 0) return true;
  if (predictions.records() == 0) {
    print_notice("diff: " + failure_message(file,
                                            "there is no prediction record in it: diff reads what classify "
                                            "writes with -f jsonl, csv or tsv"));
    return false;
  }
  for (const std::string& line : predictions.broken_lines()) print_notice("diff: " + line);
  print_notice("diff: " + failure_message(file, counted(predictions.broken(), "line") + " could not be compared"));
  return true;
}

/// Says what keeps the comparison from showing that the two files are the same; true if there is something.
bool print_doubts(const Pairing& pairing, const PredictionReader& before, const PredictionReader& after) {
  if (pairing.compared() == 0) {
    const bool none_before = before.records() == 0, none_after = after.records() == 0;
    print_notice(std::string("diff: nothing was compared: ") + (none_before && none_after ? "there are no records"
                                                                : none_before ? "the old file holds no records"
                                                                : none_after  ? "the new file holds no records"
                                                                              : "no id is in both files"));
    return true;
  }
  if (2 * pairing.failed() <= pairing.compared()) return false;
  print_notice("diff: most of what was compared are error records: " + std::to_string(pairing.failed()) + " of " +
               std::to_string(pairing.compared()));
  return true;
}

/// The two files, after their beginnings were read.
struct Runs {
  PredictionReader &before, &after;

  std::size_t broken() const { return before.broken() + after.broken(); }

  /// A line for people where the two were made at different efforts, which explains what differs; else nothing.
  std::string efforts() const {
    const std::string old_ones = before.efforts(), new_ones = after.efforts();
    if (old_ones == new_ones || old_ones.empty() || new_ones.empty()) return {};
    return "effort " + cut(old_ones) + " -> " + cut(new_ones) + '\n';
  }
};

/// Reads both to their ends, in turns. False if one of them holds no prediction at all, which is told.
template <typename Take>
bool read_all(const DiffOptions& a, const Runs& runs, const Interruption& interruption, const Take& take) {
  bool more_before = true, more_after = true;
  PredictionRecord record;
  while ((more_before || more_after) && !interruption.flag().load()) {
    more_before = more_before && runs.before.next(record);
    if (more_before && record.fault.empty()) take(false, record);
    more_after = more_after && runs.after.next(record);
    if (more_after && record.fault.empty()) take(true, record);
  }
  return interruption.signal() != 0 || (print_broken(a.files[0], runs.before) && print_broken(a.files[1], runs.after));
}

/// Writes what was found to --json, and unless that is stdout, for people.
void write_found(const DiffOptions& a, const Runs& runs, nlohmann::ordered_json json, const std::string& text) {
  json["efforts"] = {runs.before.efforts(), runs.after.efforts()};
  if (!a.json.empty()) {
    write_whole(a.json, json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n');
  }
  if (named_descriptor(a.json) == STDOUT_FILENO) return;
  OutputStream stream("");
  print_lines(stream, text + runs.efforts());
  stream.close();
}

int compare_by_id(const DiffOptions& a, const Runs& runs, const Interruption& interruption) {
  const bool typed = !runs.before.is_table() && !runs.after.is_table();
  Pairing pairing;
  const bool readable = read_all(a, runs, interruption, [&](bool is_new, const PredictionRecord& record) {
    pairing.add(is_new, Line{record.id.json && typed ? record.id.text : json_string(record.id.text), record.label,
                             record.p, record.failed});
  });
  if (interruption.signal() != 0) return kInterrupted + interruption.signal();
  if (!readable) return kRecordsFailed;
  std::string text;
  const bool same = pairing.report(a.tolerance, text);
  write_found(a, runs, pairing.json(a.tolerance), text);
  const bool doubtful = print_doubts(pairing, runs.before, runs.after);
  if (!same) return kGateFailed;
  return doubtful || runs.broken() > 0 ? kRecordsFailed : kOk;
}

int compare_distributions(const DiffOptions& a, const Runs& runs, const Interruption& interruption) {
  std::array<Distribution, 2> found;
  const bool readable = read_all(
      a, runs, interruption, [&](bool is_new, const PredictionRecord& record) { found[is_new ? 1 : 0].add(record); });
  if (interruption.signal() != 0) return kInterrupted + interruption.signal();
  if (!readable) return kRecordsFailed;
  bool doubtful = false;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (const std::string obstacle = found[i].obstacle(); !obstacle.empty()) {
      print_notice("diff: nothing was compared: " + failure_message(a.files[i], obstacle));
      return kRecordsFailed;
    }
    if (2 * found[i].errors <= found[i].records) continue;
    print_notice("diff: " + failure_message(a.files[i], "most of its records are error records: " +
                                                            std::to_string(found[i].errors) + " of " +
                                                            std::to_string(found[i].records)));
    doubtful = true;
  }
  const DistributionComparison comparison(std::move(found[0]), std::move(found[1]));
  write_found(a, runs, comparison.json(a.max_psi), comparison.text(a.max_psi));
  if (!comparison.holds(a.max_psi)) return kGateFailed;
  return doubtful || runs.broken() > 0 ? kRecordsFailed : kOk;
}

int diff(const DiffOptions& a, const Interruption& interruption) {
  const std::string &old_file = a.files.at(0), &new_file = a.files.at(1);
  if (old_file == "-" && new_file == "-") {
    throw Error(ErrorKind::usage, "diff: stdin cannot be both the old and the new predictions: name a FILE");
  }
  OutputPlan plan;
  plan.writes("--json", a.json);
  if (named_descriptor(a.json) != STDOUT_FILENO) plan.writes("the comparison", "-");
  plan.reads_inputs(a.files);
  plan.check();
  InputWaiter waiter(true);
  PredictionReader before(old_file, waiter), after(new_file, waiter);
  for (const auto& [file, predictions] : {std::pair(&old_file, &before), std::pair(&new_file, &after)}) {
    const std::string what = predictions->recognize();
    if (what.empty()) continue;
    print_notice("diff: " + failure_message(*file, "is " + what + ", and diff compares what classify writes"));
    return kRecordsFailed;
  }
  return (a.distribution ? compare_distributions : compare_by_id)(a, {before, after}, interruption);
}

/// Why a bound on an index, which is never below 0, is refused; empty if it is not.
std::string refuse_negative(const std::string& text) {
  const std::optional<double> value = parse_number(text);
  return value && *value >= 0 ? "" : "\"" + text + "\" is no number from 0 up";
}

}  // namespace

Run add_diff(CLI::App& app) {
  const auto a = std::make_shared<DiffOptions>();
  app.add_option(
         "FILE", a->files,
         "The old and the new predictions: jsonl, csv or tsv, compressed or not, or Parquet or Arrow; - is stdin")
      ->type_name("OLD NEW")
      ->expected(2)
      ->multi_option_policy(CLI::MultiOptionPolicy::Throw)
      ->required();
  app.add_option("--tolerance", a->tolerance,
                 "Exit 4 above this change of probability, as for flipped labels, missing and added ids")
      ->capture_default_str()
      ->check(refuse_no_share)
      ->type_name("P");
  CLI::Option* distribution =
      app.add_flag(
             "--distribution", a->distribution,
             "Compare how the records of two runs are distributed, whose ids need not match, such as two months' "
             "reviews: p_positive and tokens by population stability index and Kolmogorov-Smirnov test, and shares "
             "of labels, of error records, of truncated and unsure ones")
          ->excludes("--tolerance");
  app.add_option("--max-psi", a->max_psi, "Exit 4 above this population stability index of p_positive")
      ->needs(distribution)
      ->check(refuse_negative)
      ->type_name("X");
  app.add_option("--json", a->json, "Write what was found to FILE; - is stdout, in place of the text")
      ->type_name("FILE");
  add_footer(app,
             "Example: reviewrate diff yesterday.jsonl today.jsonl --tolerance 1e-4\n"
             "Example: reviewrate diff --distribution may.jsonl june.jsonl --max-psi 0.25");
  return [a](const Interruption& interruption) { return diff(*a, interruption); };
}

}  // namespace reviewrate::cli
