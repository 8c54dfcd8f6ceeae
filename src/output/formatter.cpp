// The output formats for programs; a record is one call, so that a writer can keep records whole.
#include "reviewrate/formatter.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "own_columns.h"
#include "reviewrate/printable.h"
#include "text_formatter.h"

namespace reviewrate {
namespace {

class JsonlFormatter : public Formatter {
 public:
  explicit JsonlFormatter(const OutputOptions& options) : options_(options), own_(chosen_columns(options)) {
    for (const OwnColumn& column : own_) keys_.push_back(json_string(added_name(column, options)) + ": ");
  }

  void append(const Outcome& outcome, std::string& out) override {
    const Review& review = outcome.review;
    std::vector<std::string_view> names;
    for (const Field& field : review.passed) names.push_back(field.name);
    const char* before = "{";
    const auto append_passed = [&](const std::vector<std::string>& keys) {
      for (std::size_t i = 0; i < keys.size(); ++i) {
        out += std::exchange(before, ", ") + json_string(keys[i]) + ": ";
        append_value(review.passed[i].value, out);
      }
    };
    if (options_.annotate) append_passed({names.begin(), names.end()});
    const bool named = options_.annotate && std::find(names.begin(), names.end(), "id") != names.end();
    for (std::size_t i = 0; i < own_.size(); ++i) {
      if (named && own_[i].name == "id") continue;
      const std::optional<Value> value = own_[i].value(outcome, options_.labels);
      if (!value) continue;
      out += std::exchange(before, ", ") + keys_[i];
      append_value(*value, out);
    }
    if (!options_.annotate) append_passed(passed_names(names));
    out += "}\n";
  }

 private:
  static void append_value(const Value& value, std::string& out) {
    out += value.json ? value.text : json_string(value.text);
  }

  const OutputOptions options_;
  const std::vector<OwnColumn> own_;
  std::vector<std::string> keys_;  // of own_, with their colons
};

/// RFC 4180 with "\n" as line end, as Unix tools write it.
class DelimitedFormatter : public Formatter {
 public:
  DelimitedFormatter(const OutputOptions& options, char delimiter)
      : options_(options), own_(chosen_columns(options)), delimiter_(delimiter) {
    if (!options.annotate || !has_id(options.columns)) return;
    std::erase_if(own_, [](const OwnColumn& column) { return column.name == "id"; });
  }

  std::string header() const override {
    std::string out;
    for (const std::string& name : options_.columns) append_cell(name, out);
    for (const OwnColumn& column : own_) append_cell(added_name(column, options_), out);
    for (const std::string& name : passed_names({options_.pass.begin(), options_.pass.end()})) append_cell(name, out);
    end_line(out);
    return out;
  }

  void append(const Outcome& outcome, std::string& out) override {
    append_passed(outcome.review, options_.columns, out);
    for (const OwnColumn& column : own_) {
      const std::optional<Value> value = column.value(outcome, options_.labels);
      append_cell(value ? value->text : column.absent, out);
    }
    append_passed(outcome.review, options_.pass, out);
    end_line(out);
  }

 private:
  void append_passed(const Review& review, const std::vector<std::string>& names, std::string& out) const {
    for (const std::string& name : names) {
      const auto found = std::find_if(review.passed.begin(), review.passed.end(),
                                      [&](const Field& field) { return field.name == name; });
      const bool has_value = found != review.passed.end() && !(found->value.json && found->value.text == "null");
      append_cell(has_value ? found->value.text : "", out);
    }
  }

  void append_cell(std::string_view cell, std::string& out) const {
    std::string clean;
    if (options_.on_terminal) cell = clean = printable_lines(cell);
    const std::array<char, 4> special = {delimiter_, '"', '\r', '\n'};
    if (cell.find_first_of(std::string_view(special.data(), special.size())) == std::string_view::npos) {
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

  const OutputOptions options_;
  std::vector<OwnColumn> own_;
  char delimiter_;
};

}  // namespace

std::string json_string(const std::string& text) {
  // File names may hold any bytes; reviews were repaired already.
  return printable_json(nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

std::unique_ptr<Formatter> make_formatter(const OutputOptions& options) {
  switch (options.format) {
    case OutputFormat::text:
      return make_text_formatter(options);
    case OutputFormat::csv:
      return std::make_unique<DelimitedFormatter>(options, ',');
    case OutputFormat::tsv:
      return std::make_unique<DelimitedFormatter>(options, '\t');
    case OutputFormat::parquet:
    case OutputFormat::arrow:
      return make_arrow_formatter(options);
    case OutputFormat::jsonl:
      break;
  }
  return std::make_unique<JsonlFormatter>(options);
}

}  // namespace reviewrate
