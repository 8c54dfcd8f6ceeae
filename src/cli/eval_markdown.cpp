// An evaluation as Markdown, for the summary page of a job.
#include "eval_report.h"
#include "reviewrate/printable.h"
#include "reviewrate/text.h"

namespace reviewrate::cli {
namespace {

/// Text of any origin in a cell or line: nothing in it is taken for markup.
std::string plain(const std::string& text) {
  std::string out;
  for (const char c : printable(text)) {
    if (std::string_view("\\`*_{}[]()<>#+!|~").find(c) != std::string_view::npos) out += '\\';
    out += c;
    if (c == '&') out += "amp;";
  }
  return out;
}

std::string row(const std::vector<std::string>& cells) {
  std::string out = "|";
  for (const std::string& cell : cells) out += " " + cell + " |";
  return out + "\n";
}

}  // namespace

std::string report_markdown(const EvalReport& r) {
  bool all_hold = true;
  for (const Gate& gate : r.gates) all_hold = all_hold && gate.holds;
  std::string out = "<!-- reviewrate eval -->\n## " + plain(model_text(r)) + ": " +
                    (r.gates.empty() ? "measured"
                     : all_hold      ? "every gate holds"
                                     : "A GATE DOES NOT HOLD") +
                    "\n\n" + counted(r.labelled, "labelled review") + ", " + std::to_string(r.failed) + " failed, " +
                    std::to_string(r.unlabelled) + " without a label left out; " + r.date + ".\n";
  if (!r.gates.empty()) {
    out += "\n" + row({"gate", "", "found"}) + row({"---", "---", "---"});
    for (const Gate& gate : r.gates) {
      out += row({plain(gate.name), gate.holds ? "holds" : "**does not hold**", plain(gate.found)});
    }
  }
  std::vector<std::string> titles = {"measure", "value", "95 % interval"}, lines = {"---", "---:", "---:"};
  if (r.comparison) {
    titles.insert(titles.end(), {plain(r.comparison->before), "difference"});
    lines.insert(lines.end(), {"---:", "---:"});
  }
  out += "\n" + row(titles) + row(lines);
  const Part& all = r.parts.front();
  for (std::size_t m = 0; m < all.evaluation.measured().size(); ++m) {
    const auto& interval = all.intervals[m];
    std::vector<std::string> cells = {plain(measure_title(all.evaluation.measured()[m], r.labels)),
                                      decimals(all.evaluation.measures()[m]),
                                      interval ? decimals(interval->low) + " - " + decimals(interval->high) : ""};
    if (r.comparison) {
      const Change& change = r.comparison->changes[m];
      const bool both = change.before && change.after;
      cells.push_back(decimals(change.before));
      std::string difference = both ? decimals(*change.after - *change.before) : "-";
      if (change.difference) {
        difference += " (" + decimals(change.difference->low) + " to " + decimals(change.difference->high) + ")";
      }
      cells.push_back(difference);
    }
    out += row(cells);
  }
  if (r.comparison) out += "\n" + plain(r.comparison->verdict) + "\n";
  return out + "\n" + plain(command_line(r)) + "\n";
}

}  // namespace reviewrate::cli
