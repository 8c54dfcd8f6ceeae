// An evaluation as one HTML page: tables, and charts as inline SVG. Nothing is loaded from elsewhere.
#include <algorithm>
#include <cmath>
#include <utility>

#include "eval_report.h"
#include "reviewrate/printable.h"
#include "reviewrate/terminal_text.h"
#include "reviewrate/text.h"

namespace reviewrate::cli {
namespace {

using Point = std::pair<double, double>;

constexpr std::string_view kStyle =
    "body{font:15px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:1080px;margin:2em auto;padding:0 1em}"
    "h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}table{border-collapse:collapse}"
    "td,th{padding:.25em .7em;border-bottom:1px solid #ddd;text-align:right;vertical-align:top}"
    "th{border-bottom:2px solid #999}td:first-child,th:first-child,.text{text-align:left}"
    ".charts{display:flex;flex-wrap:wrap;gap:12px}svg{width:340px;height:320px}svg text{font-size:12px;fill:#333}"
    ".title{font-size:14px;font-weight:600}.frame{fill:none;stroke:#888}.grid{stroke:#e5e5e5}"
    ".line{fill:none;stroke:#1f5fa8;stroke-width:2}.aid{fill:none;stroke:#999;stroke-dasharray:4 4}"
    ".dot{fill:#1f5fa8;fill-opacity:.75}.cell{fill:#1f5fa8;stroke:#fff}svg .light{fill:#fff}"
    ".small{color:#555;font-size:.9em}.good{color:#1a6b2f}.bad{color:#b01818;font-weight:600}"
    "code{font-size:.85em;overflow-wrap:anywhere}td code{display:inline-block;min-width:9em}"
    "td.text{overflow-wrap:anywhere}.wide{overflow-x:auto}.wide .small{white-space:nowrap}"
    "th[scope]{font-weight:400;border-bottom-width:1px;border-bottom-color:#ddd}.matrix th{vertical-align:bottom}"
    "@media(max-width:700px){table{display:block;overflow-x:auto}}";

std::string tag(const std::string& name, const std::string& content, const std::string& attributes = "") {
  return "<" + name + (attributes.empty() ? "" : " " + attributes) + ">" + content + "</" + name + ">";
}

std::string attribute(const std::string& name, double value) { return " " + name + "=\"" + fixed(value, 2) + "\""; }

/// A chart with its frame; data go from `low` to `high` on each axis.
class Chart {
 public:
  Chart(const std::string& title, const std::string& x_name, const std::string& y_name, Point low, Point high)
      : low_(low), high_(high), name_(title) {
    words(kLeft, 18, title, "class=\"title\"");
    words((kLeft + kRight) / 2, kBottom + 36, x_name, "text-anchor=\"middle\"");
    body_ += "<g transform=\"translate(14," + fixed((kTop + kBottom) / 2, 0) + ") rotate(-90)\">" +
             tag("text", escape_markup(y_name), "text-anchor=\"middle\"") + "</g>";
  }

  /// Grid lines with their numbers, every 0.2 or so.
  void ticks(double x_step, double y_step) {
    for (double x = low_.first; x < high_.first + x_step / 2; x += x_step) {
      segment({x, low_.second}, {x, high_.second}, "grid");
      words(at(x, 0).first, kBottom + 16, fixed(x, 1), "text-anchor=\"middle\"");
    }
    for (double y = low_.second; y < high_.second + y_step / 2; y += y_step) {
      segment({low_.first, y}, {high_.first, y}, "grid");
      words(kLeft - 6, at(0, y).second + 4, fixed(y, 1), "text-anchor=\"end\"");
    }
  }

  void segment(Point from, Point to, const std::string& style) { line({from, to}, style); }

  void line(const std::vector<Point>& points, const std::string& style) {
    std::string list;
    for (const Point& p : points) {
      const Point place = at(p.first, p.second);
      list += fixed(place.first, 1) + "," + fixed(place.second, 1) + " ";
    }
    body_ += "<polyline class=\"" + style + "\" points=\"" + list + "\"/>";
  }

  void dot(Point p, double radius, const std::string& hint) {
    const Point place = at(p.first, p.second);
    body_ +=
        tag("circle", tag("title", escape_markup(hint)),
            "class=\"dot\"" + attribute("cx", place.first) + attribute("cy", place.second) + attribute("r", radius));
  }

  /// A cell of one unit with its upper left corner at `corner`, shaded by `share` (0 to 1), with lines of text in it.
  void cell(Point corner, double share, const std::vector<std::string>& lines, const std::string& hint) {
    const Point from = at(corner.first, corner.second);
    const Point to = at(corner.first + 1, corner.second - 1);
    body_ += tag("rect", tag("title", escape_markup(hint)),
                 "class=\"cell\"" + attribute("x", from.first) + attribute("y", from.second) +
                     attribute("width", to.first - from.first) + attribute("height", to.second - from.second) +
                     attribute("fill-opacity", 0.04 + 0.9 * share));
    double y = (from.second + to.second) / 2 + 4 - 8 * static_cast<double>(lines.size() - 1);
    for (const std::string& text : lines) {
      words((from.first + to.first) / 2, y, text,
            share > 0.5 ? "text-anchor=\"middle\" class=\"light\"" : "text-anchor=\"middle\"");
      y += 16;
    }
  }

  void x_label(double x, const std::string& text) {
    words(at(x, 0).first, kBottom + 16, text, "text-anchor=\"middle\"");
  }
  void y_label(double y, const std::string& text) {
    words(kLeft - 6, at(0, y).second + 4, text, "text-anchor=\"end\"");
  }

  std::string svg() const {
    return "<svg viewBox=\"0 0 340 320\" role=\"img\">" + tag("title", escape_markup(name_)) + body_ +
           "<rect class=\"frame\"" + attribute("x", kLeft) + attribute("y", kTop) + attribute("width", kRight - kLeft) +
           attribute("height", kBottom - kTop) + "/></svg>\n";
  }

 private:
  static constexpr double kLeft = 52, kRight = 328, kTop = 30, kBottom = 278;

  Point at(double x, double y) const {
    return {kLeft + (x - low_.first) / (high_.first - low_.first) * (kRight - kLeft),
            kBottom - (y - low_.second) / (high_.second - low_.second) * (kBottom - kTop)};
  }

  void words(double x, double y, const std::string& text, const std::string& attributes) {
    body_ += tag("text", escape_markup(text), attributes + attribute("x", x) + attribute("y", y));
  }

  Point low_;
  Point high_;
  std::string name_;
  std::string body_;
};

double share(std::size_t part, std::size_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

/// As many letters as three columns hold.
std::string first_letters(const std::string& label) {
  const std::string text = printable(label);
  return text.substr(0, bytes_within(text, 3));
}

std::string measure_text(const Evaluation& e, Measure m) { return decimals(e.value({m})); }

std::string curves(const Evaluation& e) {
  const std::size_t negatives = e.reviews_of(0);
  if (e.reviews_of(1) == 0 || negatives == 0) return "<p>No curves: they need reviews of both labels.</p>\n";
  std::vector<Point> roc, recall;
  for (const CurvePoint& p : e.curve(500)) {
    const double found = share(p.true_positive, e.reviews_of(1));
    const std::size_t called = p.true_positive + p.false_positive;
    roc.emplace_back(share(p.false_positive, negatives), found);
    if (called > 0) recall.emplace_back(found, share(p.true_positive, called));
  }
  Chart first("ROC curve, area " + measure_text(e, Measure::roc_auc), "false positive rate", "true positive rate",
              {0, 0}, {1, 1});
  first.ticks(0.2, 0.2);
  first.segment({0, 0}, {1, 1}, "aid");
  first.line(roc, "line");
  Chart second("Precision-recall, average " + measure_text(e, Measure::average_precision), "recall", "precision",
               {0, 0}, {1, 1});
  second.ticks(0.2, 0.2);
  const double base = share(e.reviews_of(1), e.size());
  second.segment({0, base}, {1, base}, "aid");
  second.line(recall, "line");
  return first.svg() + second.svg();
}

std::string coverage(const Evaluation& e) {
  std::vector<Point> points;
  double lowest = 1;
  for (const CoveragePoint& p : e.coverage_curve(500)) {
    points.emplace_back(p.coverage, p.accuracy);
    lowest = std::min(lowest, p.accuracy);
  }
  // Most models are nearly always right: what they lose is to be seen.
  lowest = std::floor(10 * std::min(lowest, 0.8)) / 10;
  Chart chart("Accuracy by coverage, AURC " + measure_text(e, Measure::aurc), "share of the reviews, surest first",
              "accuracy", {0, lowest}, {1, 1});
  chart.ticks(0.2, lowest < 0.8 ? 0.2 : 0.1);
  chart.line(points, "line");
  return chart.svg();
}

std::string reliability(const Evaluation& e) {
  const bool binary = e.task() == Task::binary;
  const double lowest = binary ? 0.5 : 0;
  Chart chart("Reliability, calibration error " + measure_text(e, Measure::ece),
              binary ? "confidence max(p, 1 - p)" : "probability of the likeliest label", "share of right labels",
              {lowest, 0}, {1, 1});
  chart.ticks(binary ? 0.1 : 0.2, 0.2);
  chart.segment({lowest, lowest}, {1, 1}, "aid");
  std::vector<Point> points;
  for (const CalibrationBin& bin : e.calibration()) {
    if (bin.count == 0) continue;
    points.emplace_back(bin.confidence, bin.accuracy);
    chart.dot(points.back(), 3 + 9 * std::sqrt(share(bin.count, e.size())),
              counted(bin.count, "review") + ": confidence " + decimals(bin.confidence) + ", right " +
                  decimals(bin.accuracy));
  }
  chart.line(points, "line");
  return chart.svg();
}

std::string confusion(const EvalReport& r) {
  const Evaluation& e = r.parts.front().evaluation;
  const Confusion c = e.confusion();
  const std::size_t negatives = e.reviews_of(0);
  const std::string threshold = r.threshold ? ", threshold " + fixed(*r.threshold, 3) : "";
  Chart chart("Confusion matrix" + threshold, "called", "label", {0, 0}, {2, 2});
  const auto cell = [&](Point corner, std::size_t count, std::size_t row) {
    const std::string percent = fixed(100 * share(count, row), 1) + " %";
    chart.cell(corner, share(count, row), {std::to_string(count), percent}, percent + " of the label's reviews");
  };
  cell({0, 2}, c(0, 0), negatives);
  cell({1, 2}, c(0, 1), negatives);
  cell({0, 1}, c(1, 0), e.reviews_of(1));
  cell({1, 1}, c(1, 1), e.reviews_of(1));
  // Labels may be long: beside the rows only their first letters have room.
  chart.x_label(0.5, r.labels.names[0]);
  chart.x_label(1.5, r.labels.names[1]);
  chart.y_label(1.5, first_letters(r.labels.names[0]));
  chart.y_label(0.5, first_letters(r.labels.names[1]));
  return chart.svg();
}

/// Multiclass: what is measured of each label, and how many of its reviews were called each.
std::string label_tables(const EvalReport& r) {
  const Part& all = r.parts.front();
  const std::vector<MeasureOf>& measured = all.evaluation.measured();
  const std::vector<std::string>& names = r.labels.names;
  std::string rows, counts;
  std::string head = tag("th", "label") + tag("th", "reviews");
  for (std::size_t m = 0; m < measured.size(); ++m) {
    if (measured[m].label == std::size_t{0}) head += tag("th", std::string(measure_name(measured[m].measure)));
  }
  std::string called = tag("th", "label");
  for (const std::string& name : names) called += tag("th", escape_markup(name), "scope=\"col\"");
  const Confusion c = all.evaluation.confusion();
  for (std::size_t label = 0; label < names.size(); ++label) {
    const std::size_t reviews = all.evaluation.reviews_of(label);
    const std::string name = tag("th", escape_markup(names[label]), "scope=\"row\"");
    std::string row = name + tag("td", std::to_string(reviews)), matrix_row = name;
    for (std::size_t m = 0; m < measured.size(); ++m) {
      if (measured[m].label != label) continue;
      const auto& interval = all.intervals[m];
      row += tag("td", decimals(all.evaluation.measures()[m]) +
                           (interval ? "<br>" + tag("span", decimals(interval->low) + " to " + decimals(interval->high),
                                                    "class=\"small\"")
                                     : ""));
    }
    for (std::size_t other = 0; other < names.size(); ++other) {
      const double part = share(c(label, other), reviews);
      matrix_row += tag("td", std::to_string(c(label, other)),
                        "style=\"background:rgba(31,95,168," + fixed(0.04 + 0.9 * part, 2) + ")" +
                            (part > 0.5 ? ";color:#fff" : "") + "\" title=\"" + fixed(100 * part, 1) +
                            " % of the label's reviews\"");
    }
    rows += tag("tr", row) + "\n";
    counts += tag("tr", matrix_row) + "\n";
  }
  const auto scrolled = [](const std::string& table) { return tag("div", table, "class=\"wide\""); };
  return tag("h2", "Labels, each against the rest") + scrolled(tag("table", tag("tr", head) + rows)) +
         tag("h2", "Confusion matrix") +
         tag("p", "A row has the reviews of a label, a column those that were given it.") +
         scrolled(tag("table", tag("tr", called) + counts, "class=\"matrix\"")) + "\n";
}

std::string ratings(const Evaluation& e) {
  const auto by_stars = e.ratings_by_stars();
  if (by_stars.empty()) return "";
  const auto columns = static_cast<double>(by_stars.size());
  Chart chart("Rating by stars, MAE " + measure_text(e, Measure::rating_mae), "stars", "rating", {0, 0.5},
              {columns, 10.5});
  double x = 0;
  const std::size_t every = 1 + by_stars.size() / 12;  // a label for each does not fit
  std::size_t column = 0;
  for (const auto& [stars, counts] : by_stars) {
    std::size_t all = 0;
    for (const std::size_t count : counts) all += count;
    const std::string name = stars == std::floor(stars) ? fixed(stars, 0) : fixed(stars, 1);
    if (column++ % every == 0) chart.x_label(x + 0.5, name);
    for (int rating = 1; rating <= 10; ++rating) {
      const std::size_t count = counts[static_cast<std::size_t>(rating)];
      if (count > 0) {
        const std::string percent = fixed(100 * share(count, all), 0);
        const bool room = by_stars.size() <= 11;
        chart.cell({x, rating + 0.5}, share(count, all), {room ? percent : ""},
                   std::to_string(count) + " of " + counted(all, "review") + " of " + name + " stars are rated " +
                       std::to_string(rating));
      }
    }
    x += 1;
  }
  for (int rating = 1; rating <= 10; ++rating) chart.y_label(rating, std::to_string(rating));
  return chart.svg();
}

std::string measure_table(const EvalReport& r) {
  std::string head = tag("th", "measure"), count = tag("td", "reviews");
  for (std::size_t i = 0; i < r.parts.size(); ++i) {
    head += tag("th", escape_markup(r.parts[i].title)) + tag("th", "95 % interval");
    count += tag("td", std::to_string(r.parts[i].evaluation.size())) + tag("td", "");
  }
  std::string rows = tag("tr", head) + tag("tr", count);
  const std::vector<MeasureOf>& measured = r.parts.front().evaluation.measured();
  for (std::size_t m = 0; m < measured.size() && !measured[m].label; ++m) {
    std::string row = tag("td", measure_title(measured[m], r.labels));
    for (const Part& part : r.parts) {
      const auto& interval = part.intervals[m];
      row += tag("td", decimals(part.evaluation.measures()[m])) +
             tag("td", interval ? decimals(interval->low) + " to " + decimals(interval->high) : "", "class=\"small\"");
    }
    rows += tag("tr", row) + "\n";
  }
  return tag("table", rows);
}

std::string gate_table(const EvalReport& r) {
  std::string rows;
  for (const Gate& gate : r.gates) {
    rows += tag("tr",
                tag("td", escape_markup(gate.name)) +
                    (gate.holds ? tag("td", "holds", "class=\"good\"") : tag("td", "does not hold", "class=\"bad\"")) +
                    tag("td", escape_markup(gate.found), "class=\"text\""));
  }
  std::string out = rows.empty() ? "" : tag("h2", "Gates") + tag("table", rows) + "\n";
  if (!r.comparison) return out;
  rows = tag("tr", tag("th", "measure") + tag("th", escape_markup(r.comparison->before)) +
                       tag("th", escape_markup(r.comparison->after)) + tag("th", "difference") +
                       tag("th", "95 % interval"));
  for (const Change& c : r.comparison->changes) {
    const bool both = c.before && c.after;
    rows += tag("tr",
                tag("td", escape_markup(c.name)) + tag("td", decimals(c.before)) + tag("td", decimals(c.after)) +
                    tag("td", both ? decimals(*c.after - *c.before) : "-") +
                    tag("td", c.difference ? decimals(c.difference->low) + " to " + decimals(c.difference->high) : ""));
  }
  return out + tag("h2", "Compared") + tag("table", rows) + tag("p", escape_markup(r.comparison->verdict)) + "\n";
}

std::string mistake_table(const EvalReport& r) {
  if (r.mistakes.empty()) return "";
  const bool binary = r.labels.task == Task::binary;
  std::string rows =
      tag("tr", tag("th", "review") + tag("th", "label") + (binary ? "" : tag("th", "called")) + tag("th", "stars") +
                    tag("th", binary ? "p(" + escape_markup(r.labels.names[1]) + ")" : "probability") +
                    tag("th", "tokens") + tag("th", "beginning of the text", "class=\"text\""));
  for (const Mistake& m : r.mistakes) {
    rows +=
        tag("tr", tag("td", tag("code", escape_markup(m.id.text))) + tag("td", escape_markup(r.labels.names[m.label])) +
                      (binary ? "" : tag("td", escape_markup(r.labels.names[m.called]))) +
                      tag("td", m.stars ? fixed(*m.stars, *m.stars == std::floor(*m.stars) ? 0 : 1) : "") +
                      tag("td", decimals(m.p.value_or(m.score))) +
                      tag("td", m.tokens > 0 ? std::to_string(m.tokens) : "") +
                      tag("td", escape_markup(m.text), "class=\"text\" dir=\"auto\"")) +
        "\n";
  }
  return tag("h2", "The most confident mistakes") + tag("table", rows) + "\n";
}

}  // namespace

std::string report_html(const EvalReport& r) {
  const Evaluation& all = r.parts.front().evaluation;
  const bool binary = all.task() == Task::binary;
  std::string failures;
  for (const Failure& f : r.failures) failures += tag("li", escape_markup(f.message));
  const std::string title = "Evaluation of " + escape_markup(r.model);
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"generator\" "
         "content=\"reviewrate\"><title>" +
         title +
         "</title><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
         "'unsafe-inline'\"><style>" +
         std::string(kStyle) + "</style></head><body>\n" + tag("h1", title) +
         tag("p", counted(r.labelled, "labelled review") + ", " + std::to_string(r.failed) + " of them failed; " +
                      std::to_string(r.unlabelled) + " without a label were left out. Precision " +
                      escape_markup(r.precision) + ", effort " + escape_markup(r.effort) + ", long reviews " +
                      escape_markup(r.long_text) + ", rating " + escape_markup(r.rating) + ".") +
         (r.taken.empty() ? "" : tag("p", "Labels: " + escape_markup(r.taken) + ".")) +
         (r.stars.seen().empty() ? "" : tag("p", "S" + escape_markup(r.stars.seen().substr(1)) + ".")) +
         (r.stars.doubt().empty() ? "" : tag("p", escape_markup(r.stars.doubt()) + ".", "class=\"bad\"")) +
         tag("p", tag("code", escape_markup(command_line(r))) + "<br>" + escape_markup(r.date), "class=\"small\"") +
         tag("p", "Model " + tag("code", escape_markup(r.model_sha256)) + "<br>Input " + tag("code", r.input_sha256),
             "class=\"small\"") +
         (failures.empty() ? "" : tag("ul", failures, "class=\"bad\"")) + gate_table(r) + tag("h2", "Measures") +
         measure_table(r) + (binary ? "" : label_tables(r)) + tag("h2", "Charts") +
         tag("div",
             all.size() == 0 ? ""
             : binary        ? curves(all) + coverage(all) + reliability(all) + confusion(r) + ratings(all)
                             : coverage(all) + reliability(all) + ratings(all),
             "class=\"charts\"") +
         mistake_table(r) + "</body></html>\n";
}

}  // namespace reviewrate::cli
