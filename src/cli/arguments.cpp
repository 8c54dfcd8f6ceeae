// The options of every command, on CLI11.
#include "arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>

#include "reviewrate/error.h"
#include "reviewrate/torch_model.h"
#include "shell_help.h"

namespace reviewrate::cli {
namespace {

constexpr const char* kExitCodes =
    "Exit codes: 0 all well; 1 some records failed (their error records say why); 2 usage;\n"
    "3 model, environment or output failed; 4 a gate did not hold (eval, diff, verify); 130, 143 interrupted.";

const std::map<std::string, InputFormat> kInputFormats = {
    {"auto", InputFormat::automatic}, {"lines", InputFormat::lines}, {"jsonl", InputFormat::jsonl},
    {"csv", InputFormat::csv},        {"tsv", InputFormat::tsv},     {"whole", InputFormat::whole}};
const std::map<std::string, OutputFormat> kOutputFormats = {{"text", OutputFormat::text},
                                                            {"jsonl", OutputFormat::jsonl},
                                                            {"csv", OutputFormat::csv},
                                                            {"tsv", OutputFormat::tsv}};
const std::map<std::string, bool> kRatings = {{"fitted", true}, {"linear", false}};
const std::map<std::string, LongText> kLongTexts = {
    {"head", LongText::head}, {"head-tail", LongText::head_tail}, {"windows", LongText::windows}};

template <typename T>
std::string names(const std::map<std::string, T>& choices) {
  std::string out;
  for (const auto& [name, value] : choices) out += (out.empty() ? "" : "|") + name;
  return out;
}

template <typename T>
std::string name_of(const std::map<std::string, T>& choices, T value) {
  return std::find_if(choices.begin(), choices.end(), [&](const auto& choice) { return choice.second == value; })
      ->first;
}

/// An option whose value is one of the names of `choices`.
template <typename T, typename Target>
CLI::Option* add_choice(CLI::App& app, const std::string& flags, Target& target,
                        const std::map<std::string, T>& choices, const std::string& help) {
  const auto take = [&target, &choices](const std::string& name) { target = choices.at(name); };
  return app.add_option_function<std::string>(flags, take, help)
      ->check(CLI::IsMember(choices).description(""))
      ->type_name(names(choices));
}

void add_model_options(CLI::App& app, Arguments& a) {
  app.add_option("-m,--model", a.model,
                 "Model package folder, or a bare TorchScript file (default: REVIEWRATE_MODEL, else imdb-small)")
      ->type_name("DIR|FILE.pt");
  app.add_option("--vocab", a.vocab, "Vocabulary of a bare TorchScript file")->type_name("FILE");
}

std::pair<std::string, std::string> field_and_value(const std::string& condition, const std::string& option,
                                                    const std::string& form) {
  const std::size_t equals = condition.find('=');
  if (equals == 0 || equals == std::string::npos) {
    throw CLI::ValidationError(option, "\"" + condition + "\" must be " + form);
  }
  return {condition.substr(0, equals), condition.substr(equals + 1)};
}

void add_input_options(CLI::App& app, Arguments& a) {
  app.add_option("FILE", a.files, "Files or folders to read; - is stdin (the default in a pipe)")->type_name("");
  add_choice(app, "--input-format", a.input.format, kInputFormats, "How records are told apart (default: by name)");
  app.add_option("--text-field", a.input.text_field, "Field or column that holds the review")
      ->capture_default_str()
      ->type_name("NAME");
  app.add_option("--id-field", a.input.id_field, "Field or column that holds the id")
      ->capture_default_str()
      ->type_name("NAME");
  app.add_flag("!--no-header", a.input.header, "csv, tsv: the first row is data; columns are named 1, 2, ...");
  app.add_flag("!--no-quoting", a.input.quoting, "tsv: quotes are ordinary characters");
  app.add_option("--include", a.input.include, "Read only members and paths that match GLOB; may repeat")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  app.add_option_function<std::vector<std::string>>(
         "--where",
         [&a](const std::vector<std::string>& conditions) {
           for (const std::string& condition : conditions)
             a.input.where.push_back(field_and_value(condition, "--where", "FIELD=VALUE"));
         },
         "Read only records whose FIELD is VALUE; may repeat, all must hold")
      ->type_name("FIELD=VALUE")
      ->allow_extra_args(false);
  app.add_option("--max-review-bytes", a.input.max_review_bytes, "A longer review is a bad record")
      ->capture_default_str()
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 30))
      ->type_name("N");
}

void add_precision_option(CLI::App& app, Arguments& a) {
  app.add_option("--precision", a.precision,
                 "Arithmetic of the model; auto: the fastest that this CPU has and the model allows")
      ->capture_default_str()
      ->check(CLI::IsMember({"fp32", "bf16", "int8", "auto"}).description(""))
      ->type_name("fp32|bf16|int8|auto");
}

void add_inference_options(CLI::App& app, Arguments& a) {
  app.add_option("-j,--workers", a.workers, "Batches in the model at once (default: the CPUs of this process)")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1024}))
      ->type_name("N");
  add_precision_option(app, a);
}

void add_scoring_options(CLI::App& app, Arguments& a) {
  add_choice(app, "--long-text", a.long_text, kLongTexts,
             "What to do with reviews longer than the model takes (default: as the model package says)");
  app.add_option("--stride", a.stride, "Tokens that neighbouring windows share")->capture_default_str()->type_name("N");
  app.add_option("--threshold", a.threshold, "Two labels: the positive one from this probability on")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0))
      ->type_name("P");
  add_choice(app, "--rating", a.fitted_rating, kRatings,
             "Rating from p directly, or by the package's thresholds (default: linear)");
}

void add_classify(CLI::App& app, Arguments& a) {
  add_model_options(app, a);
  app.add_option("-t,--text", a.texts, "Classify TEXT; may repeat")->type_name("TEXT")->allow_extra_args(false);
  add_input_options(app, a);
  add_inference_options(app, a);
  add_scoring_options(app, a);
  app.add_option("--pass", a.input.pass, "Carry these fields or columns through; * for all others (jsonl, text)")
      ->type_name("NAME,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  add_choice(app, "-f,--format", a.format, kOutputFormats, "Output format (default: text on a terminal, else jsonl)");
  app.add_option("-o,--output", a.output, "Write records to FILE instead of stdout")->type_name("FILE");
  app.add_flag("--resume", a.resume, "Go on with an interrupted --output FILE (jsonl, csv, tsv; not from stdin)");
  app.add_option("--summary", a.summary, "Write the closing figures to FILE as JSON")->type_name("FILE");
  app.add_flag("--fail-fast", a.fail_fast, "Stop at the first bad record");
  app.add_flag("-q,--quiet", a.quiet, "No progress and no closing line on stderr");
  app.footer(std::string("Example: reviewrate reviews.csv --text-field review -f csv -o rated.csv\n\n") + kExitCodes);
}

/// MEASURE=VALUE, and with `directed` only measures of which more or less is better.
Bound bound(const std::string& option, const std::string& condition, bool directed) {
  const auto [name, text] = field_and_value(condition, option, "MEASURE=VALUE");
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    throw CLI::ValidationError(option, "\"" + text + "\" is not a number");
  }
  std::string names;
  for (std::size_t m = 0; m < kMeasureCount; ++m) {
    const auto measure = static_cast<Measure>(m);
    if (directed && measure_direction(measure) == 0) continue;
    if (measure_name(measure) == name) return {measure, value};
    names += (names.empty() ? "" : ", ") + std::string(measure_name(measure));
  }
  throw CLI::ValidationError(option, "\"" + name + "\" is none of the measures " + names);
}

void add_eval(CLI::App& app, Arguments& a) {
  add_model_options(app, a);
  add_input_options(app, a);
  app.add_option("--label-field", a.label_field,
                 "Field or column that holds the label: a name of the model's, or 0 or 1")
      ->capture_default_str()
      ->type_name("NAME");
  app.add_option("--stars-field", a.stars_field, "Field or column that holds 1-10 stars")->type_name("NAME");
  add_inference_options(app, a);
  add_scoring_options(app, a);
  app.add_option("--json", a.json, "Write all measures to FILE")->type_name("FILE");
  app.add_option("--report", a.report, "Write a page with the curves to FILE")->type_name("FILE.html");
  app.add_option("--junit", a.junit, "Write the gates as JUnit XML to FILE")->type_name("FILE.xml");
  app.add_option("--baseline", a.baseline, "Compare with the --json of an earlier run")->type_name("FILE");
  const auto add_gate = [&](const std::string& name, std::vector<Bound>& bounds, bool directed,
                            const std::string& help) {
    const auto take = [&bounds, name, directed](const std::vector<std::string>& conditions) {
      for (const std::string& condition : conditions) bounds.push_back(bound(name, condition, directed));
    };
    app.add_option_function<std::vector<std::string>>(name, take, help)
        ->type_name("MEASURE=VALUE")
        ->allow_extra_args(false);
  };
  add_gate("--min", a.minimums, false, "Exit 4 if MEASURE is below VALUE; may repeat");
  add_gate("--max", a.maximums, false, "Exit 4 if MEASURE is above VALUE; may repeat");
  add_gate("--max-drop", a.max_drops, true,
           "Exit 4 if MEASURE is worse than the baseline's by more than VALUE; may repeat");
  app.add_flag("-q,--quiet", a.quiet, "No table on stderr");
  app.footer(
      "A file of a folder pos or neg has that label, and the stars of its name, ID_STARS.txt. Reviews without a\n"
      "label (empty, -1, unsup) are left out and counted.\n"
      "Example: reviewrate eval labelled.jsonl --stars-field stars --min f1=0.92 --report eval.html\n\n" +
      std::string(kExitCodes));
}

}  // namespace

std::string format_name(InputFormat format) { return name_of(kInputFormats, format); }

std::string format_name(OutputFormat format) { return name_of(kOutputFormats, format); }

Arguments parse_arguments(int argc, const char* const* argv, std::string& help) {
  Arguments a;
  CLI::App app("Rates reviews: a label, its probability and a 1-10 rating for each.", "reviewrate");
  app.set_version_flag("--version", "reviewrate " REVIEWRATE_VERSION " (libtorch " + torch_version() + ")");
  app.require_subcommand(1);
  // Of an option given twice the last one counts, so that what an alias or script sets can be changed behind it;
  // options of lists are collected all the same. Commands inherit this.
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.footer(std::string("Without a command it is classify: reviewrate [OPTIONS] [FILE...]\n"
                         "Example: reviewrate -t \"It is very nice film\"\n\n") +
             kExitCodes);
  CLI::App& classify = *app.add_subcommand("classify", "Classify reviews (the default command)");
  add_classify(classify, a);
  CLI::App& eval = *app.add_subcommand("eval", "Measure the model on labelled reviews, and hold gates");
  add_eval(eval, a);
  CLI::App& diff = *app.add_subcommand("diff", "Compare two jsonl files of predictions by id");
  diff.add_option("FILE", a.files, "The old and the new predictions, compressed or not; - is stdin")
      ->type_name("OLD NEW")
      ->expected(2)
      ->multi_option_policy(CLI::MultiOptionPolicy::Throw)
      ->required();
  diff.add_option("--tolerance", a.tolerance,
                  "Exit 4 above this change of probability, as for flipped labels, missing and added ids")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0))
      ->type_name("P");
  diff.footer("Example: reviewrate diff yesterday.jsonl today.jsonl --tolerance 1e-4\n\n" + std::string(kExitCodes));
  CLI::App& tokenize = *app.add_subcommand("tokenize", "Print the token ids of reviews as jsonl");
  add_model_options(tokenize, a);
  add_input_options(tokenize, a);
  tokenize
      .add_option("--max-tokens", a.max_tokens,
                  "Cut after N tokens, special ones included; 0: never (default: the model's)")
      ->type_name("N");
  tokenize.footer("Example: echo \"It is very nice film\" | reviewrate tokenize\n\n" + std::string(kExitCodes));
  CLI::App& verify = *app.add_subcommand("verify", "Run the model package's reference texts and compare");
  add_model_options(verify, a);
  add_inference_options(verify, a);
  verify.footer("Example: reviewrate verify -m models/imdb-small\n\n" + std::string(kExitCodes));
  CLI::App& bench = *app.add_subcommand("bench", "Time the program on these reviews, stage by stage");
  add_model_options(bench, a);
  add_input_options(bench, a);
  add_inference_options(bench, a);
  add_scoring_options(bench, a);
  bench.add_option("--rounds", a.rounds, "Measured runs over the input, after one to warm up")
      ->capture_default_str()
      ->check(CLI::Range(std::size_t{1}, std::size_t{1000}))
      ->type_name("N");
  bench.add_option("--json", a.json, "Write all measures to FILE")->type_name("FILE");
  bench.footer("Example: reviewrate bench reviews.jsonl --precision int8\n\n" + std::string(kExitCodes));
  CLI::App& info = *app.add_subcommand("info", "Describe the model package and this program as JSON");
  add_model_options(info, a);
  add_precision_option(info, a);
  info.footer("Example: reviewrate info -m models/imdb-small\n\n" + std::string(kExitCodes));

  std::string shell_kind;
  CLI::App& shell = *app.add_subcommand("shell-help", "Print a completion script or the man page")->group("");
  shell.add_option("KIND", shell_kind, "")->required()->check(CLI::IsMember({"bash", "zsh", "fish", "man"}));

  // classify need not be named.
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  static constexpr std::array<std::string_view, 11> kFirstWords = {
      "classify", "shell-help", "eval", "diff", "tokenize", "verify", "bench", "info", "--help", "-h", "--version"};
  if (words.empty() || std::find(kFirstWords.begin(), kFirstWords.end(), words.front()) == kFirstWords.end()) {
    words.insert(words.begin(), "classify");
  }
  std::reverse(words.begin(), words.end());  // as CLI11 wants a vector
  try {
    app.parse(words);
  } catch (const CLI::CallForVersion&) {
    help = app.version() + '\n';
  } catch (const CLI::Success&) {
    const auto chosen = app.get_subcommands();
    help = (chosen.empty() ? app : *chosen.front()).help(chosen.empty() ? "" : "reviewrate");
  } catch (const CLI::ParseError& e) {
    throw Error(ErrorKind::usage, std::string(e.what()) + " (see reviewrate --help)");
  }
  if (shell.parsed()) help = shell_help(app, shell_kind);
  if (!app.get_subcommands().empty()) a.command = app.get_subcommands().front()->get_name();
  return a;
}

}  // namespace reviewrate::cli
