// Help on CLI11's formatter, which neither wraps nor leaves out what only a programmer would ask for.
#include "help.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "process.h"
#include "reviewrate/terminal_text.h"

namespace reviewrate::cli {
namespace {

constexpr std::size_t kMostWidth = 100;
constexpr std::size_t kWideColumn = 28;   // where the texts begin
constexpr std::size_t kNarrowColumn = 6;  // the same, each below its option
constexpr std::size_t kLeastWidth = 60;   // for the former

class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() { label("Positionals", "Inputs"); }

  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override {
    std::string text = CLI::Formatter::make_help(app, std::move(name), mode);
    for (std::size_t at = 0; (at = text.find("\n\n\n", at)) != std::string::npos;) text.erase(at, 1);
    return text;
  }

  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    std::string out = "  " + make_option_name(option, is_positional);
    if (option->get_type_size() != 0 && !option->get_type_name().empty()) out += ' ' + option->get_type_name();
    std::string text = option->get_description();
    if (!option->get_default_str().empty()) text += " (default: " + option->get_default_str() + ")";
    const std::size_t width = std::min(terminal_width(STDOUT_FILENO), kMostWidth);
    const std::size_t column = width < kLeastWidth ? kNarrowColumn : kWideColumn;
    bool same_line = out.size() + 2 <= column;
    for (const std::string& line : wrapped(text, std::max(width, 3 * kNarrowColumn) - column)) {
      if (!same_line) out += '\n';
      out += std::string(same_line ? column - out.size() : column, ' ') + line;
      same_line = false;
    }
    return out + '\n';
  }

  /// Of a positional that takes a fixed number of values: what each is, which its type names.
  std::string make_option_usage(const CLI::Option* option) const override {
    const bool several = option->get_items_expected_max() > 1 && option->get_items_expected_max() < kManyValues;
    return several ? option->get_type_name() : CLI::Formatter::make_option_usage(option);
  }

 private:
  static constexpr int kManyValues = 1000;
};

}  // namespace

std::shared_ptr<CLI::FormatterBase> help_formatter() { return std::make_shared<HelpFormatter>(); }

void begin_group(CLI::App& app, const char* heading) { app.option_defaults()->group(heading); }

const HelpSection& output_fields() {
  static const HelpSection section = {
      "Output fields",
      "  id             the input's id field, else FILE:LINE, text:N, or a file's path\n"
      "  label, score   the label, and its probability\n"
      "  p_positive     the probability of the positive label\n"
      "  rating         1 to 10: ten times p_positive, rounded, at least 1\n"
      "  tokens         of the whole review, [CLS] and [SEP] included\n"
      "  truncated      true: the model did not see all of them\n"
      "  windows        how many pieces the model saw\n"
      "  scores         of more than two labels: the probability of each (csv, tsv,\n"
      "                 Parquet: as JSON in the cell)\n"
      "  effort         with another --effort than full: which\n"
      "  repaired       bytes that were not UTF-8 (jsonl: only if there were some)\n"
      "  empty          true: there is nothing but white space (jsonl, or --columns)\n"
      "  unsure         with --unsure: true, and unsure_reason: probability, unknown\n"
      "                 tokens or repetition (jsonl: only where it is so)\n"
      "  explanation    with --explain: base, the log odds of an empty review, and\n"
      "                 parts with start, end (in code points), text and contribution,\n"
      "                 which add up with base and remainder to those of the review\n"
      "  error          instead of a label: kind and message of what is wrong with a\n"
      "                 record (csv, tsv: the columns error_kind and error_message)"};
  return section;
}

const std::vector<HelpSection>& general_sections() {
  static const std::vector<HelpSection> sections = {
      {"Exit codes",
       "  0              all well\n"
       "  1              some records failed (their error records say why)\n"
       "  2              usage: the command line asks for what cannot be done\n"
       "  3              model, environment or output failed\n"
       "  4              a gate did not hold (eval, diff, verify)\n"
       "  129, 130, 143  interrupted; finished records are written"},
      {"Environment",
       "  REVIEWRATE_MODEL       the model where there is no --model\n"
       "  REVIEWRATE_MODEL_PATH  folders with model packages, with : between them\n"
       "  REVIEWRATE_PORT, ...   of serve alone: its options, here --port\n"
       "  NO_COLOR               if not empty: no colors but by --color always"},
      {"Files",
       "  FILE.resume            beside an --output FILE: which run writes it, so that\n"
       "                         --resume can go on with it"}};
  return sections;
}

void add_footer(CLI::App& app, const std::string& example, bool has_output_fields) {
  std::string footer = example;
  const auto add = [&](const HelpSection& section) {
    footer += std::string("\n\n") + section.title + ":\n" + section.text;
  };
  if (has_output_fields) add(output_fields());
  for (const HelpSection& section : general_sections()) add(section);
  app.footer(footer);
}

}  // namespace reviewrate::cli
