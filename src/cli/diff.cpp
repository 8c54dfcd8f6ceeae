// reviewrate diff: compares two files of predictions by id.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <deque>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <unordered_map>

#include "command.h"
#include "console.h"
#include "exit_status.h"
#include "options.h"
#include "reviewrate/error.h"
#include "reviewrate/input.h"
#include "reviewrate/output_stream.h"
#include "reviewrate/record_reader.h"

namespace reviewrate::cli {
namespace {

struct DiffOptions {
  std::vector<std::string> files;
  double tolerance = 1e-6;
};

constexpr std::size_t kShown = 20;
constexpr std::size_t kMaxLine = std::size_t{64} << 20;  // a record may carry its review along

/// What is compared of a record.
struct Line {
  std::string id;  ///< as JSON, so that 5 and "5" differ
  std::string label;
  double p = 0;
  bool failed = false;  ///< an error record; the label is its kind

  std::string words() const {
    std::ostringstream out;
    out.imbue(std::locale::classic());
    out << label;
    if (!failed) out << ' ' << p;
    return out.str();
  }
};

/// Reads predictions line by line, through the same layer as reviews: compressed or not, and heeding signals.
class Predictions {
 public:
  Predictions(const std::string& path, Waiter& waiter) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) throw Error(ErrorKind::input, path + ": is a folder");
    InputOptions options;
    options.format = InputFormat::lines;
    options.max_review_bytes = kMaxLine;
    source_ = open_source({}, {path}, options, waiter);
  }

  /// The next record, or false at the end. Lines that are no record are told and counted.
  bool next(Line& line) {
    for (Review review; source_->next(review, /*may_block=*/true) == Source::Status::review;) {
      if (review.failure && review.failure->kind != "size") throw Error(ErrorKind::input, review.failure->message);
      try {
        // What is not UTF-8 is no JSON, though its repaired form may be.
        if (review.repaired == 0 && !review.failure) {
          line = parse(nlohmann::json::parse(review.text));
          return true;
        }
      } catch (const nlohmann::json::exception&) {
      }
      if (++broken_ <= kShown) print_notice("diff: " + failure_message(review.id.text, "is no prediction record"));
    }
    return false;
  }

  std::size_t broken() const { return broken_; }

 private:
  static Line parse(const nlohmann::json& record) {
    Line line;
    line.id = record.at("id").dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    line.failed = record.contains("error");
    line.label = line.failed ? "ERROR " + record.at("error").at("kind").get<std::string>()
                             : record.at("label").get<std::string>();
    if (!line.failed) line.p = record.at(record.contains("p_positive") ? "p_positive" : "score").get<double>();
    return line;
  }

  std::unique_ptr<Source> source_;
  std::size_t broken_ = 0;
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

  /// What was found, for people. True if all is within `tolerance`.
  bool report(double tolerance, std::string& out) const {
    const std::size_t missing = count(waiting_[0]);
    const std::size_t added = count(waiting_[1]);
    std::ostringstream text;
    text.imbue(std::locale::classic());
    text << compared_ << " compared, " << missing << " missing, " << added << " added, " << flips_
         << " labels flipped, largest change of probability " << largest_ << " (tolerance " << tolerance << ")\n";
    list(text, "missing", waiting_[0]);
    list(text, "added", waiting_[1]);
    for (const Change& c : flipped_) text << "flip " << c.id << ": " << c.words << '\n';
    for (const Change& c : changed_) {
      if (c.size > tolerance) text << "change " << c.id << ": " << c.words << '\n';
    }
    out = text.str();
    return missing == 0 && added == 0 && flips_ == 0 && largest_ <= tolerance;
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
    const bool flip = before.label != after.label;
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

  static void list(std::ostream& text, const char* what, const Waiting& waiting) {
    std::vector<std::string> ids;
    for (const auto& [id, lines] : waiting) ids.insert(ids.end(), lines.size(), id);
    std::sort(ids.begin(), ids.end());  // the map's order is nobody's
    for (std::size_t i = 0; i < std::min(ids.size(), kShown); ++i) text << what << ' ' << ids[i] << '\n';
  }

  std::array<Waiting, 2> waiting_;  // of the old file, of the new one
  std::size_t compared_ = 0;
  std::size_t flips_ = 0;
  double largest_ = 0;
  std::vector<Change> flipped_;
  std::vector<Change> changed_;
};

int diff(const DiffOptions& a, const Interruption& interruption) {
  if (a.files.at(0) == "-" && a.files.at(1) == "-") {
    throw Error(ErrorKind::usage, "diff: stdin cannot be both the old and the new predictions: name a FILE");
  }
  InputWaiter waiter(true);
  Predictions before(a.files.at(0), waiter), after(a.files.at(1), waiter);
  Pairing pairing;
  bool more_before = true, more_after = true;
  while ((more_before || more_after) && !interruption.flag().load()) {
    Line old_line, new_line;
    more_before = more_before && before.next(old_line);
    if (more_before) pairing.add(false, std::move(old_line));
    more_after = more_after && after.next(new_line);
    if (more_after) pairing.add(true, std::move(new_line));
  }
  if (interruption.signal() != 0) return kInterrupted + interruption.signal();
  std::string text;
  const bool same = pairing.report(a.tolerance, text);
  OutputStream stream("");
  stream.write(text);
  stream.close();
  const std::size_t broken = before.broken() + after.broken();
  if (broken > 0) print_notice("diff: " + std::to_string(broken) + " lines could not be compared");
  if (!same) return kGateFailed;
  return broken > 0 ? kRecordsFailed : kOk;
}

}  // namespace

Run add_diff(CLI::App& app) {
  const auto a = std::make_shared<DiffOptions>();
  app.add_option("FILE", a->files, "The old and the new predictions, compressed or not; - is stdin")
      ->type_name("OLD NEW")
      ->expected(2)
      ->multi_option_policy(CLI::MultiOptionPolicy::Throw)
      ->required();
  app.add_option("--tolerance", a->tolerance,
                 "Exit 4 above this change of probability, as for flipped labels, missing and added ids")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0).description(""))
      ->type_name("P");
  add_footer(app, "Example: reviewrate diff yesterday.jsonl today.jsonl --tolerance 1e-4");
  return [a](const Interruption& interruption) { return diff(*a, interruption); };
}

}  // namespace reviewrate::cli
