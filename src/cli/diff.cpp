// reviewrate diff: compares two files of predictions by id.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <locale>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "command.h"
#include "console.h"
#include "exit_status.h"
#include "help.h"
#include "options.h"
#include "output_plan.h"
#include "predictions.h"
#include "reviewrate/error.h"
#include "reviewrate/formatter.h"
#include "reviewrate/output_file.h"
#include "reviewrate/output_stream.h"
#include "reviewrate/record_reader.h"

namespace reviewrate::cli {
namespace {

struct DiffOptions {
  std::vector<std::string> files;
  double tolerance = 1e-6;
  std::string json;
};

constexpr std::size_t kShown = 20;
constexpr std::size_t kShownBytes = 120;  // of an id or label

/// The beginning of a text, cut between code points.
std::string cut(std::string text) {
  if (text.size() <= kShownBytes) return text;
  std::size_t end = kShownBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return text.substr(0, end) + "\xE2\x80\xA6";
}

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
    text << ", " << missing << " missing, " << added << " added, " << flips_
         << " labels flipped, largest change of probability " << largest_ << " (tolerance " << tolerance << ")\n";
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
  std::string json(double tolerance) const {
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
    return out.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
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
  for (const std::string& place : predictions.broken_places()) {
    print_notice("diff: " + failure_message(place, "is no prediction record"));
  }
  print_notice("diff: " + failure_message(file, std::to_string(predictions.broken()) + " lines could not be compared"));
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

int diff(const DiffOptions& a, const Interruption& interruption) {
  const std::string &old_file = a.files.at(0), &new_file = a.files.at(1);
  if (old_file == "-" && new_file == "-") {
    throw Error(ErrorKind::usage, "diff: stdin cannot be both the old and the new predictions: name a FILE");
  }
  OutputPlan plan;
  plan.writes("--json", a.json);
  const bool table = named_descriptor(a.json) != STDOUT_FILENO;  // else the JSON is the result
  if (table) plan.writes("the comparison", "-");
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
  const bool typed = !before.is_table() && !after.is_table();
  Pairing pairing;
  bool more_before = true, more_after = true;
  PredictionRecord record;
  const auto line = [&] {
    return Line{record.id.json && typed ? record.id.text : json_string(record.id.text), record.label, record.p,
                record.failed};
  };
  while ((more_before || more_after) && !interruption.flag().load()) {
    more_before = more_before && before.next(record);
    if (more_before) pairing.add(false, line());
    more_after = more_after && after.next(record);
    if (more_after) pairing.add(true, line());
  }
  if (interruption.signal() != 0) return kInterrupted + interruption.signal();
  for (const auto& [file, predictions] : {std::pair(&old_file, &before), std::pair(&new_file, &after)}) {
    if (!print_broken(*file, *predictions)) return kRecordsFailed;
  }
  std::string text;
  const bool same = pairing.report(a.tolerance, text);
  if (!a.json.empty()) write_whole(a.json, pairing.json(a.tolerance));
  if (table) {
    OutputStream stream("");
    print_lines(stream, text);
    stream.close();
  }
  const bool doubtful = print_doubts(pairing, before, after);
  if (!same) return kGateFailed;
  return doubtful || before.broken() + after.broken() > 0 ? kRecordsFailed : kOk;
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
  app.add_option("--json", a->json, "Write what was found to FILE; - is stdout, in place of the text")
      ->type_name("FILE");
  add_footer(app, "Example: reviewrate diff yesterday.jsonl today.jsonl --tolerance 1e-4");
  return [a](const Interruption& interruption) { return diff(*a, interruption); };
}

}  // namespace reviewrate::cli
