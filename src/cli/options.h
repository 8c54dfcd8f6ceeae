// Groups of options that several commands have, and what they come to.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "process.h"
#include "reviewrate/batch.h"
#include "reviewrate/formatter.h"
#include "reviewrate/input.h"
#include "reviewrate/manifest.h"
#include "reviewrate/output_stream.h"
#include "reviewrate/package.h"
#include "reviewrate/pipeline.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace reviewrate::cli {

/// Texts, FILEs and how they are read.
struct InputChoice {
  std::vector<std::string> texts;  ///< for commands with add_text_option()
  std::vector<std::string> files;
  std::string files_from;   ///< a file that names more of them; empty: none
  bool null_names = false;  ///< there names end with NUL
  InputOptions options;
};

/// How reviews become predictions.
struct ScoringChoice {
  std::optional<LongText> long_text;  ///< empty: as the model package says
  std::size_t stride = 128;
  std::optional<double> threshold;    ///< empty: not asked for
  std::optional<bool> fitted_rating;  ///< or the linear one; empty: not asked for

  double threshold_or_half() const { return threshold.value_or(0.5); }
};

/// Which predictions are unsure, if it is asked for.
struct UnsureChoice {
  std::optional<UnsureRange> range;
  std::optional<double> rate;  ///< the share of reviews that are, by the model's calibration

  bool asked() const { return range || rate; }

  /// What `manifest` makes of it. Throws Error(usage) where the model does not fit.
  std::optional<UnsureRange> range_for(const Manifest& manifest) const;
};

/// --unsure LOW:HIGH and --unsure-rate.
void add_unsure_options(CLI::App& app, UnsureChoice& choice);

/// What each prediction is explained by.
struct ExplainChoice {
  std::optional<ExplainUnit> unit;  ///< empty: by nothing
  std::size_t budget = PipelineOptions().explain_budget;
};

void add_model_options(CLI::App& app, ModelChoice& choice);
void add_speed_options(CLI::App& app, ModelChoice& choice);  ///< --precision and --effort
void add_workers_option(CLI::App& app, std::size_t& workers);
void add_text_option(CLI::App& app, InputChoice& choice, const std::string& help);
void add_input_options(CLI::App& app, InputChoice& choice);
void add_scoring_options(CLI::App& app, ScoringChoice& choice);

/// --explain, which is given back, and --explain-budget.
CLI::Option* add_explain_options(CLI::App& app, ExplainChoice& choice);

/// FIELD=VALUE in two. Throws CLI::ValidationError, which names `option` and the `form` that it must have.
std::pair<std::string, std::string> split_condition(const std::string& condition, const std::string& option,
                                                    const std::string& form);

/// The names that the command line uses.
std::string format_name(InputFormat format);
std::string format_name(OutputFormat format);
std::string explain_unit_name(ExplainUnit unit);

/// An option -f, --format.
void add_format_option(CLI::App& app, std::optional<OutputFormat>& format);

/// What the name of an output file says.
struct OutputName {
  std::optional<OutputFormat> format;  ///< by its extension; empty: nothing
  Compression compression = Compression::none;
  std::string other;  ///< an extension that seems to say a format which is not written; empty: it has none
};

/// Of `path`, the value of --output. Throws Error(usage) if it promises a form that is not written.
OutputName output_name(const std::string& path);

/// The files to read: those named and those listed in a file, or where nothing of that is given, nor a text, stdin,
/// unless it is a terminal. Throws Error(usage), which says what else can be done: `ways`, such as ", pipe reviews in,
/// or give one with --text"; also where stdin would be read twice, or the list cannot be. Says, unless `quiet`, that a
/// terminal is read, to whoever is in front of it.
std::vector<std::string> input_files(const InputChoice& input, std::string_view ways, bool quiet = false);

/// When results have colors; automatic: on a terminal that has them, unless NO_COLOR is set.
enum class Color { automatic, always, never };

/// An option --color.
void add_color_option(CLI::App& app, Color& color);

/// Puts what is asked for into `options`. Throws Error(usage) where the model has no positive label.
void set_explanation(PipelineOptions& options, const ExplainChoice& choice, const Manifest& manifest);

/// Whether what goes to `fd` has colors.
bool has_color(Color color, int fd);

/// Checks of an option's value: why it is refused, empty if it is not.
std::string refuse_no_share(const std::string& text);  ///< a number from 0 to 1
std::string refuse_empty(const std::string& text);     ///< such as an unset variable in a script

/// Opens the model for `workers` (0: as many as there are CPUs for this process). Before anything else of libtorch.
/// Tells of a program that no package vouches for, unless `quiet`.
Package open_package_for(const ModelChoice& choice, std::size_t& workers, bool quiet = false);

/// Throws Error(usage) if a threshold is asked for and the model's label is not decided by one.
void check_threshold(const ScoringChoice& scoring, const Manifest& manifest);

/// The pipeline that command line and model package ask for together. Throws Error(usage).
PipelineOptions pipeline_options(std::size_t workers, const ScoringChoice& scoring, const Manifest& manifest,
                                 const Interruption& interruption);

}  // namespace reviewrate::cli
