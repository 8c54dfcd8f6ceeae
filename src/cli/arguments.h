// What was typed, as plain values; what it means is settled by the commands.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "reviewrate/batch.h"
#include "reviewrate/formatter.h"
#include "reviewrate/input.h"
#include "reviewrate/metrics.h"

namespace reviewrate::cli {

/// A measure and what a gate asks of it.
struct Bound {
  Measure measure;
  double value;
};

/// The command line. Options that a command does not have keep their defaults.
struct Arguments {
  std::string command;  ///< classify, eval, diff, tokenize, verify, bench, info
  std::vector<std::string> files;
  std::vector<std::string> texts;
  InputOptions input;

  std::string model;  ///< a package folder or a TorchScript file; empty: the default package
  std::string vocab;
  std::string precision = "fp32";
  std::size_t workers = 0;  ///< 0: as many as there are CPUs for this process
  std::optional<LongText> long_text;
  std::size_t stride = 128;
  double threshold = 0.5;
  bool fitted_rating = false;

  std::optional<OutputFormat> format;
  std::string output;
  std::string summary;
  bool resume = false;
  bool fail_fast = false;
  bool quiet = false;
  std::optional<std::size_t> max_tokens;  ///< tokenize: 0 for no limit; empty: the model's

  std::string label_field = "label";  ///< eval, as all that follow but the last
  std::string stars_field;
  std::string json;
  std::string report;
  std::string junit;
  std::string baseline;
  std::vector<Bound> minimums;
  std::vector<Bound> maximums;
  std::vector<Bound> max_drops;
  double tolerance = 1e-6;  ///< diff
  std::size_t rounds = 3;   ///< bench
};

/// The names that the command line uses.
std::string format_name(InputFormat format);
std::string format_name(OutputFormat format);

/// Reads the command line. Fills `help` instead where help or the version is asked for. Throws Error(usage).
Arguments parse_arguments(int argc, const char* const* argv, std::string& help);

}  // namespace reviewrate::cli
