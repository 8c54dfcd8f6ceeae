// The closing line, its JSON form and the bar.
#include "summary.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "process.h"
#include "reviewrate/text.h"

namespace reviewrate::cli {
namespace {

double per_second(std::size_t count, double seconds) { return seconds > 0 ? static_cast<double>(count) / seconds : 0; }

/// Ten bars of up to eight eighths; a rating that occurs at all is seen.
std::string bars(const std::array<std::size_t, 10>& counts) {
  // The first is a no-break space: a line is not broken within the bars.
  constexpr std::array<const char*, 9> kBars = {"\u00A0", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const std::size_t largest = std::max<std::size_t>(1, *std::max_element(counts.begin(), counts.end()));
  std::string out;
  for (const std::size_t count : counts) out += kBars[(count * 8 + largest - 1) / largest];
  return out;
}

std::string clock_time(double seconds) {
  const auto total = static_cast<long>(std::min(seconds, 359999.0));
  std::array<char, 32> buffer{};
  const int length = total >= 3600 ? std::snprintf(buffer.data(), buffer.size(), "%ld:%02ld:%02ld", total / 3600,
                                                   total / 60 % 60, total % 60)
                                   : std::snprintf(buffer.data(), buffer.size(), "%ld:%02ld", total / 60, total % 60);
  return {buffer.data(), static_cast<std::size_t>(std::max(length, 0))};
}

/// "3 json, 1 size".
std::string listed(const std::map<std::string, std::size_t>& counts) {
  std::string out;
  for (const auto& [name, count] : counts) out += (out.empty() ? "" : ", ") + std::to_string(count) + ' ' + name;
  return out;
}

}  // namespace

void Summary::add(const Outcome& outcome) {
  ++records;
  if (!outcome.prediction) {
    ++failures;
    ++failures_by_kind[outcome.review.failure->kind];
    if (first_failure.empty()) first_failure = outcome.review.failure->message;
    return;
  }
  if (outcome.review.repaired > 0) ++repaired;
  const Prediction& p = *outcome.prediction;
  tokens += p.tokens;
  if (p.truncated) ++truncated;
  if (p.repeated) ++repeated;
  if (unsure && !p.unsure.empty()) ++*unsure;
  if (is_blank(outcome.review.text)) {
    ++empty;
    return;
  }
  ++by_label[p.label];
  if (p.rating) ++ratings[static_cast<std::size_t>(*p.rating - 1)];
}

double Summary::mean_rating() const {
  std::size_t count = 0;
  std::size_t sum = 0;
  for (std::size_t i = 0; i < ratings.size(); ++i) {
    count += ratings[i];
    sum += ratings[i] * (i + 1);
  }
  return count > 0 ? static_cast<double>(sum) / static_cast<double>(count) : 0;
}

std::string Summary::line(double seconds, const std::map<std::string, std::size_t>& skipped) const {
  std::string out = counted(records, "record");
  if (resumed > 0) out += " after " + std::to_string(resumed) + " written before";
  if (all_failures() > 0) out += ", " + std::to_string(all_failures()) + " failed (" + listed_failures() + ")";
  const std::size_t told = std::accumulate(by_label.begin(), by_label.end(), std::size_t{0});
  if (told + empty > 0) {
    std::string before = ", ";
    if (resumed > 0) {
      out += "; of the " + std::to_string(told + empty) + " rated now";
      before = empty > 0 ? " " : ": ";
    }
    if (empty > 0) {
      out += before + std::to_string(empty) + " empty";
      before = told > 0 ? "; of the other " + std::to_string(told) + ": " : ", ";
    }
    // Two labels: the share of the second says all; more: every share.
    for (std::size_t i = labels.size() == 2 ? 1 : 0; told > 0 && i < labels.size(); ++i) {
      out += std::exchange(before, ", ") +
             fixed(100 * static_cast<double>(by_label[i]) / static_cast<double>(told), 1) + " % " + labels[i];
    }
    if (mean_rating() > 0) out += ", mean rating " + fixed(mean_rating(), 2) + ", 1-10: |" + bars(ratings) + "|";
    if (told > 0 && empty > 0) before = "; ";  // what follows is of the empty ones, too
    if (unsure) out += std::exchange(before, ", ") + std::to_string(*unsure) + " unsure";
    out += before + std::to_string(truncated) + " truncated";
    if (repeated > 0) out += ", " + std::to_string(repeated) + " repeated";
    if (repaired > 0) out += ", " + std::to_string(repaired) + " repaired";
  }
  if (!skipped.empty()) out += ", files skipped: " + listed(skipped);
  return out + ", " + fixed(seconds, 1) + " s, " + fixed(per_second(records, seconds), 1) + " reviews/s";
}

std::string Summary::listed_failures() const {
  const std::string list = listed(failures_by_kind);
  if (resumed_failures == 0) return list;
  return list + (list.empty() ? "" : ", ") + std::to_string(resumed_failures) + " in an earlier run";
}

std::string Summary::failure_line() const {
  return std::to_string(all_failures()) + " of " + counted(resumed + records, "record") + " failed (" +
         listed_failures() + ")" + (first_failure.empty() ? "" : "; the first: " + first_failure);
}

std::string Summary::json(double seconds, bool interrupted, const InputFindings& findings) const {
  nlohmann::ordered_json out = {{"records", records},
                                {"failures", failures},
                                {"failures_by_kind", failures_by_kind},
                                {"resumed", resumed},
                                {"resumed_failures", resumed_failures}};
  out["effort"] = effort;
  for (std::size_t i = 0; i < labels.size(); ++i) out["labels"][labels[i]] = by_label[i];
  out["mean_rating"] = mean_rating() > 0 ? nlohmann::ordered_json(mean_rating()) : nlohmann::ordered_json(nullptr);
  out["ratings"] = ratings;
  out["truncated"] = truncated;
  out["repeated"] = repeated;
  out["empty"] = empty;
  out["unsure"] = unsure ? nlohmann::ordered_json(*unsure) : nlohmann::ordered_json(nullptr);
  out["repaired"] = repaired;
  out["not_finite"] = findings.nonfinite;
  out["skipped"] = findings.skipped;
  out["problems"] = findings.problems;
  out["tokens"] = tokens;
  out["seconds"] = seconds;
  out["reviews_per_second"] = per_second(records, seconds);
  out["interrupted"] = interrupted;
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

ProgressBar::ProgressBar(const Source& source, bool wanted, const InputOptions& input, bool goes_on)
    : bytes_(source.bytes_total()),
      records_(std::min(input.limit.value_or(kUnknown), input.sample.value_or(kUnknown))),
      goes_on_(goes_on),
      shown_(wanted && is_rich_terminal(STDERR_FILENO)) {}

void ProgressBar::update(std::size_t records, std::uint64_t position) {
  if (!shown_) return;
  const auto part_of = [](auto part, auto whole) {
    return std::min(1.0, static_cast<double>(part) / static_cast<double>(whole));
  };
  const double share = records_ != kUnknown ? part_of(records, records_) : bytes_ > 0 ? part_of(position, bytes_) : 0;
  if (goes_on_ && first_share_ == 0) first_share_ = share;  // an earlier run has come this far
  const Clock::time_point now = Clock::now();
  if (now - begin_ < std::chrono::seconds(1) || now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  std::string text = std::to_string(records) + " reviews  " + fixed(per_second(records, seconds), 1) + "/s";
  constexpr std::size_t kEcho = 2;  // as ^C is echoed behind it
  const std::size_t width = std::max(std::min<std::size_t>(terminal_width(STDERR_FILENO), 100), 2 * kEcho) - kEcho;
  if (share > 0) {
    text += "  " + fixed(100 * share, 0) + " %";
    if (share > first_share_) text += "  " + clock_time(seconds * (1 - share) / (share - first_share_)) + " left";
    if (width > text.size() + 15) {
      const std::size_t room = width - text.size() - 5;
      std::string bar(static_cast<std::size_t>(share * static_cast<double>(room)), '=');
      bar.resize(room, ' ');
      text = "[" + bar + "]  " + text;
    }
  }
  if (text.size() >= width) text.resize(width - 1);
  show_status(text);
}

}  // namespace reviewrate::cli
