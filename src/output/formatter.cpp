// The four output formats; a record is one call, so that a writer can keep records whole.
#include "reviewrate/formatter.h"

#include <algorithm>
#include <array>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "reviewrate/printable.h"
#include "reviewrate/text.h"
#include "reviewrate/utf8.h"

namespace reviewrate {
namespace {

/// The shortest number that reads back as `value`, never without a point: "1" would be an integer to a JSON reader that
/// tells the two apart.
std::string number(double value) {
  std::string text = shortest(value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

const char* boolean(bool value) { return value ? "true" : "false"; }

/// The columns that every record has, in order.
constexpr std::array<std::string_view, 11> kOwnColumns = {"id",       "label",      "score",        "p_positive",
                                                          "rating",   "tokens",     "truncated",    "windows",
                                                          "repaired", "error_kind", "error_message"};

/// What passed fields are called: as they are if that name is free; else with as many "input_" before it as it takes.
/// Names that are free as they are go first.
std::vector<std::string> passed_names(const std::vector<std::string_view>& names) {
  std::set<std::string, std::less<>> taken(kOwnColumns.begin(), kOwnColumns.end());
  taken.insert("error");
  std::vector<std::string> out(names.size());
  std::vector<std::size_t> unnamed;
  for (std::size_t i = 0; i < names.size(); ++i) {
    out[i] = names[i];
    if (!taken.insert(out[i]).second) unnamed.push_back(i);
  }
  for (const std::size_t i : unnamed) {
    while (!taken.insert(out[i]).second) out[i].insert(0, "input_");
  }
  return out;
}

class JsonlFormatter : public Formatter {
 public:
  explicit JsonlFormatter(const OutputOptions& options) {
    for (const std::string& label : options.labels) labels_.push_back(json_string(label));
  }

  void append(const Outcome& outcome, std::string& out) const override {
    const Review& review = outcome.review;
    out += "{\"id\": ";
    append_value(review.id, out);
    if (outcome.prediction) {
      const Prediction& p = *outcome.prediction;
      out += ", \"label\": " + labels_[p.label] + ", \"score\": " + number(p.score);
      if (p.positive) out += ", \"p_positive\": " + number(*p.positive);
      if (p.rating) out += ", \"rating\": " + std::to_string(*p.rating);
      out += ", \"tokens\": " + std::to_string(p.tokens) + ", \"truncated\": " + boolean(p.truncated) +
             ", \"windows\": " + std::to_string(p.windows);
    } else if (review.failure) {
      out += ", \"error\": {\"kind\": " + json_string(review.failure->kind) +
             ", \"message\": " + json_string(review.failure->message) + "}";
    }
    if (review.repaired > 0) out += ", \"repaired\": " + std::to_string(review.repaired);
    std::vector<std::string_view> names;
    for (const Field& field : review.passed) names.push_back(field.name);
    const std::vector<std::string> unique = passed_names(names);
    for (std::size_t i = 0; i < unique.size(); ++i) {
      out += ", " + json_string(unique[i]) + ": ";
      append_value(review.passed[i].value, out);
    }
    out += "}\n";
  }

 private:
  static void append_value(const Value& value, std::string& out) {
    out += value.json ? value.text : json_string(value.text);
  }

  std::vector<std::string> labels_;
};

/// RFC 4180 with "\n" as line end, as Unix tools write it.
class DelimitedFormatter : public Formatter {
 public:
  DelimitedFormatter(const OutputOptions& options, char delimiter)
      : labels_(options.labels), pass_(options.pass), delimiter_(delimiter) {}

  std::string header() const override {
    std::string out;
    for (const std::string_view name : kOwnColumns) append_cell(name, out);
    for (const std::string& name : passed_names({pass_.begin(), pass_.end()})) append_cell(name, out);
    end_line(out);
    return out;
  }

  void append(const Outcome& outcome, std::string& out) const override {
    const Review& review = outcome.review;
    append_cell(review.id.text, out);
    if (outcome.prediction) {
      const Prediction& p = *outcome.prediction;
      append_cell(labels_[p.label], out);
      append_cell(number(p.score), out);
      append_cell(p.positive ? number(*p.positive) : "", out);
      append_cell(p.rating ? std::to_string(*p.rating) : "", out);
      append_cell(std::to_string(p.tokens), out);
      append_cell(boolean(p.truncated), out);
      append_cell(std::to_string(p.windows), out);
    } else {
      for (int i = 0; i < 7; ++i) append_cell("", out);
    }
    append_cell(std::to_string(review.repaired), out);
    append_cell(review.failure ? review.failure->kind : "", out);
    append_cell(review.failure ? review.failure->message : "", out);
    for (const std::string& name : pass_) {
      const auto found = std::find_if(review.passed.begin(), review.passed.end(),
                                      [&](const Field& field) { return field.name == name; });
      append_cell(found == review.passed.end() ? "" : found->value.text, out);
    }
    end_line(out);
  }

 private:
  void append_cell(std::string_view cell, std::string& out) const {
    const std::array<char, 5> special = {delimiter_, '"', '\r', '\n', '\0'};
    if (cell.find_first_of(std::string_view(special.data(), 4)) == std::string_view::npos) {
      out += cell;
    } else {
      out += '"';
      for (const char c : cell) {
        if (c == '"') out += '"';
        out += c;
      }
      out += '"';
    }
    out += delimiter_;
  }

  static void end_line(std::string& out) { out.back() = '\n'; }

  std::vector<std::string> labels_;
  std::vector<std::string> pass_;
  char delimiter_;
};

/// The printable `text` in at most `width` code points; what does not fit gives way to an ellipsis.
std::string excerpt(const std::string& text, std::size_t width) {
  std::string out;
  std::size_t used = 0;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t length = 1;
    while (i + length < text.size() && (static_cast<unsigned char>(text[i + length]) & 0xC0U) == 0x80U) ++length;
    if (++used > width) {
      // Replaces the last code point that did fit.
      while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xC0U) == 0x80U) out.pop_back();
      if (!out.empty()) out.back() = '\xE2', out += "\x80\xA6";
      return out;
    }
    out.append(text, i, length);
    i += length;
  }
  return out;
}

/// Lines for people: rating, label, score, id and the beginning of the text.
class TextFormatter : public Formatter {
 public:
  explicit TextFormatter(const OutputOptions& options) : options_(options) {
    for (std::string& label : options_.labels) {
      label = printable(label);
      label_width_ = std::max(label_width_, label.size());
    }
  }

  void append(const Outcome& outcome, std::string& out) const override {
    const Review& review = outcome.review;
    std::string line;
    if (outcome.prediction) {
      const Prediction& p = *outcome.prediction;
      std::string label = options_.labels[p.label];
      label.resize(std::max(label_width_, label.size()), ' ');
      if (p.rating) {
        const std::string rating = (*p.rating < 10 ? " " : "") + std::to_string(*p.rating) + "/10";
        line += colored(rating, *p.rating > 6 ? kGreen : *p.rating < 5 ? kRed : kYellow) + "  ";
      }
      line += colored(label, p.label == options_.positive ? kGreen
                             : options_.positive          ? kRed
                                                          : "") +
              "  " + fixed(p.score, 4);
    } else if (review.failure) {
      // The message names the record already.
      out += colored("ERROR", kRed) + " " + printable(review.failure->kind + ": " + review.failure->message) + '\n';
      return;
    }
    line += "  " + printable(review.id.text);
    const std::size_t used = line.size() + 2;
    if (outcome.prediction && !review.text.empty() && used + 10 < options_.text_width) {
      line += "  " + excerpt(printable(beginning(review.text)), options_.text_width - used);
    }
    out += line + '\n';
  }

 private:
  /// As much of a review as can be seen, though much of it be invisible.
  std::string_view beginning(std::string_view text) const {
    std::size_t end = 4 * kMaxCodePointBytes * options_.text_width;
    if (end >= text.size()) return text;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
    return text.substr(0, end);
  }

  // As a terminal's SGR sequences (ECMA-48) have them.
  static constexpr const char* kRed = "31";
  static constexpr const char* kGreen = "32";
  static constexpr const char* kYellow = "33";

  /// `text`, which has no such sequences itself, in a color if there are any; empty: none.
  std::string colored(const std::string& text, std::string_view color) const {
    if (!options_.color || color.empty()) return text;
    return std::string("\x1b[").append(color) + 'm' + text + "\x1b[0m";
  }

  OutputOptions options_;
  std::size_t label_width_ = 0;
};

}  // namespace

std::string json_string(const std::string& text) {
  // File names may hold any bytes; reviews were repaired already.
  return printable_json(nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

std::unique_ptr<Formatter> make_formatter(const OutputOptions& options) {
  switch (options.format) {
    case OutputFormat::text:
      return std::make_unique<TextFormatter>(options);
    case OutputFormat::csv:
      return std::make_unique<DelimitedFormatter>(options, ',');
    case OutputFormat::tsv:
      return std::make_unique<DelimitedFormatter>(options, '\t');
    case OutputFormat::jsonl:
      break;
  }
  return std::make_unique<JsonlFormatter>(options);
}

}  // namespace reviewrate
