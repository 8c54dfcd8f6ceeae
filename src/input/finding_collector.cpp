// Where the lines about whole inputs are worded.
#include "finding_collector.h"

#include <algorithm>

namespace reviewrate {
namespace {

constexpr std::size_t kNamedFiles = 3;

}  // namespace

void FindingCollector::add(const Review& review) {
  if (review.failure) return;
  ++content_.reviews;
  if (review.repaired > 0) ++content_.damaged;
}

void FindingCollector::end_content(const std::string& path, const ContentReader& content) {
  if (content.records() == nullptr) return;
  const Tally& tally = content.records()->tally();
  tally_.add(tally);
  if (!tally.remark.empty()) remarks_.push_back(tally.remark);
  content_.marked_encoding = content.marked_encoding();
  if (content.is_whole()) {
    whole_files_.reviews += content_.reviews;
    whole_files_.damaged += content_.damaged;
    if (content_.damaged > 0) whole_files_.marked_encoding = content_.marked_encoding;
  } else {
    judge(path, content_);
  }
  content_ = {};
}

void FindingCollector::end_file(const std::string& path) {
  judge(path, whole_files_);
  whole_files_ = {};
}

void FindingCollector::judge(const std::string& path, const Losses& losses) {
  if (2 * losses.damaged <= losses.reviews) return;
  if (wrong_encoding_.size() == kNamedFiles) {
    ++more_wrong_encoding_;
    return;
  }
  const std::string& marked = losses.marked_encoding;
  const std::string encoding = !marked.empty() ? marked : options_.encoding.empty() ? "UTF-8" : options_.encoding;
  const std::string advice =
      !marked.empty()             ? "its byte order mark says that it is; it is damaged, or its end is missing"
      : options_.encoding.empty() ? "name the encoding with --encoding, such as --encoding windows-1252"
                                  : "is --encoding right?";
  wrong_encoding_.push_back(failure_message(shown_name(path), std::to_string(losses.damaged) + " of " +
                                                                  std::to_string(losses.reviews) + " reviews are not " +
                                                                  encoding + " and have lost letters; " + advice));
}

InputFindings FindingCollector::findings() const {
  InputFindings findings;
  findings.skipped = skipped_;
  findings.nonfinite = tally_.nonfinite;
  findings.types = tally_.types;
  findings.problems = wrong_encoding_;
  findings.remarks = remarks_;
  if (more_wrong_encoding_ > 0) {
    findings.problems.push_back("so have most reviews of " + std::to_string(more_wrong_encoding_) +
                                " more files lost letters to their encoding (--encoding)");
  }
  if (tally_.records == 0) {
    if (skipped_.contains("not included")) findings.remarks.emplace_back("--include: no record came of what it leaves");
    return findings;
  }
  const auto quoted = [](const std::string& text) { return '"' + failure_message("", text).substr(2) + '"'; };
  const std::vector<std::string> names = named_fields(options_);
  const auto met = [](const std::vector<bool>& list, std::size_t i) { return i < list.size() && list[i]; };
  const auto asked_for = [&](const std::string& name) {  // other than by `pass`
    return name == options_.id_field ||
           std::any_of(options_.where.begin(), options_.where.end(),
                       [&](const Condition& condition) { return condition.field() == name; });
  };
  bool all_met = true;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (met(tally_.named, i)) continue;
    if (!options_.pass_required && !asked_for(names[i])) continue;
    all_met = false;
    findings.problems.push_back("no record has a field " + quoted(names[i]) +
                                (tally_.named.empty() ? " (lines and whole files have no fields)" : ""));
  }
  bool all_matched = true;
  for (std::size_t i = 0; i < options_.where.size(); ++i) {
    const std::size_t not_judged = i < tally_.not_judged.size() ? tally_.not_judged[i] : 0;
    if (not_judged > 0) {
      findings.remarks.push_back(
          "--where " + quoted(options_.where[i].text()) + ": passed over " + std::to_string(not_judged) +
          (not_judged == 1 ? " record whose value is no number" : " records whose values are no numbers"));
    }
    if (met(tally_.matched, i)) continue;
    all_matched = false;
    const bool missing = !met(
        tally_.named,
        static_cast<std::size_t>(std::find(names.begin(), names.end(), options_.where[i].field()) - names.begin()));
    if (!missing) findings.remarks.push_back("--where " + quoted(options_.where[i].text()) + ": no record fulfils it");
  }
  if (all_met && all_matched && !options_.where.empty() && !tally_.kept) {
    findings.remarks.push_back("no record fulfils all conditions of --where");
  }
  return findings;
}

}  // namespace reviewrate
