// The shared options, on CLI11.
#include "options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>

#include "command.h"
#include "console.h"
#include "help.h"
#include "reviewrate/error.h"
#include "reviewrate/output_file.h"
#include "reviewrate/text.h"

namespace reviewrate::cli {
namespace {

const std::map<std::string, InputFormat> kInputFormats = {
    {"auto", InputFormat::automatic}, {"lines", InputFormat::lines}, {"jsonl", InputFormat::jsonl},
    {"csv", InputFormat::csv},        {"tsv", InputFormat::tsv},     {"parquet", InputFormat::parquet},
    {"arrow", InputFormat::arrow},    {"whole", InputFormat::whole}};
const std::map<std::string, OutputFormat> kOutputFormats = {
    {"text", OutputFormat::text}, {"jsonl", OutputFormat::jsonl},     {"csv", OutputFormat::csv},
    {"tsv", OutputFormat::tsv},   {"parquet", OutputFormat::parquet}, {"arrow", OutputFormat::arrow}};
const std::map<std::string, Color> kColors = {
    {"always", Color::always}, {"auto", Color::automatic}, {"never", Color::never}};
const std::map<std::string, bool> kRatings = {{"fitted", true}, {"linear", false}};
const std::map<std::string, std::string> kDelimiters = {{"auto", "auto"}, {"bar", "|"},       {"comma", ","},
                                                        {"pipe", "|"},    {"semicolon", ";"}, {"space", " "},
                                                        {"tab", "\t"},    {"\\t", "\t"}};
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

const std::map<std::string, ExplainUnit> kExplainUnits = {{"sentences", ExplainUnit::sentences},
                                                          {"words", ExplainUnit::words}};

constexpr const char* kRatingGroup = "Rating";
constexpr const char* kExplanationGroup = "Explanation";
constexpr const char* kInputGroup = "Input";
constexpr const char* kModelGroup = "Model";
constexpr std::size_t kMostRecords = std::size_t{1} << 53;

/// Extensions that promise no format but that of lines. JSON Lines are often called .json.
const std::set<std::string> kPlainExtensions = {".bak", ".data", ".json",   ".jsonlines", ".log", ".ndjson", ".new",
                                                ".old", ".out",  ".output", ".part",      ".tmp", ".txt"};
constexpr std::string_view kLettersAndDigits = "abcdefghijklmnopqrstuvwxyz0123456789";

/// The files that are named, then those that the list names. Throws Error(usage).
std::vector<std::string> with_listed_files(const InputChoice& input) {
  const bool from_stdin = input.files_from == "-";
  const std::string where = "--files-from " + input.files_from + ": ";
  std::ifstream file;
  if (!from_stdin) file.open(input.files_from);
  std::istream& list = from_stdin ? std::cin : file;
  std::vector<std::string> files = input.files;
  for (std::string name; std::getline(list, name, input.null_names ? '\0' : '\n');) {
    if (!name.empty()) files.push_back(name);
  }
  if (!list.eof()) throw Error(ErrorKind::usage, where + "cannot be read: " + std::strerror(errno));
  if (from_stdin && std::find(files.begin(), files.end(), "-") != files.end()) {
    throw Error(ErrorKind::usage, where + "stdin holds the names of files, and cannot be one of them (-)");
  }
  return files;
}

/// A character that can stand between or in the cells of a table, as its one byte. Throws CLI::ValidationError.
std::string table_character(const std::string& option, const std::string& word, const std::string& forms) {
  const bool ascii = word.size() == 1 && static_cast<unsigned char>(word[0]) < 0x80;
  if (!ascii || word == "\"" || word == "\n" || word == "\r")
    throw CLI::ValidationError(option, "\"" + word + "\" must be " + forms);
  return word;
}

}  // namespace

std::string refuse_no_share(const std::string& text) {
  double value = 0;
  const bool fits = CLI::detail::lexical_cast(text, value) && value >= 0 && value <= 1;  // NaN does not
  return fits ? "" : "\"" + text + "\" is no number from 0 to 1";
}

std::string refuse_empty(const std::string& text) { return text.empty() ? "is empty (an unset variable?)" : ""; }

void add_model_options(CLI::App& app, ModelChoice& choice) {
  begin_group(app, kModelGroup);
  app.add_option(
         "-m,--model", choice.model,
         "Model package: its folder, or its name beside the program or in a folder of REVIEWRATE_MODEL_PATH; or "
         "a bare TorchScript file (default: REVIEWRATE_MODEL, else imdb-small)")
      ->type_name("NAME|DIR|FILE.pt");
  app.add_option("--vocab", choice.vocab, "Vocabulary of a bare TorchScript file")->type_name("FILE");
  app.add_flag("--cased", choice.cased, "A bare file's vocabulary knows capitals and accents: they are kept");
  app.add_option("--labels", choice.labels,
                 "A bare file's labels in the order of its logits (default: NEGATIVE,POSITIVE; of more LABEL_0, ...)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAME,...");
  app.add_option("--model-max-tokens", choice.max_tokens,
                 "The most tokens that a bare file takes, 3 to 65536 (default: 512)")
      ->check(CLI::Range(std::size_t{3}, std::size_t{1} << 16).description(""))
      ->type_name("N");
}

void add_speed_options(CLI::App& app, ModelChoice& choice) {
  begin_group(app, kModelGroup);
  app.add_option("--precision", choice.precision,
                 "Arithmetic of the model: fp32 as it was trained; int8 and bf16 faster where the CPU has instructions "
                 "for them, and close; auto: the fastest that this CPU has and the model allows")
      ->capture_default_str()
      ->check(CLI::IsMember({"fp32", "bf16", "int8", "auto"}).description(""))
      ->type_name("fp32|bf16|int8|auto");
  app.add_option("--effort", choice.effort,
                 "full: the model as it was trained; fast, fastest, or another schedule of the model package (info "
                 "lists them): of long texts the tokens that receive least attention are dropped on the way")
      ->capture_default_str()
      ->type_name("full|fast|fastest");
}

void add_workers_option(CLI::App& app, std::size_t& workers) {
  begin_group(app, kModelGroup);
  app.add_option("-j,--workers,--jobs", workers,
                 "Batches in the model at once, 1 to 1024 (default: the CPUs of this process)")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1024}).description(""))
      ->type_name("N");
}

void add_text_option(CLI::App& app, InputChoice& choice, const std::string& help) {
  begin_group(app, kInputGroup);
  app.add_option("-t,--text", choice.texts, help)->type_name("TEXT")->allow_extra_args(false);
}

void add_input_options(CLI::App& app, InputChoice& choice) {
  InputOptions& options = choice.options;
  begin_group(app, kInputGroup);
  app.add_option_function<std::vector<std::string>>(
         "FILE",
         [&choice](const std::vector<std::string>& files) {
           for (const std::string& file : files) choice.files.push_back(file.substr(file.starts_with(kShield) ? 1 : 0));
         },
         "Files or folders to read; - is stdin (the default in a pipe)")
      ->type_name("");
  add_choice(
      app, "--input-format", options.format, kInputFormats,
      "How records are told apart: lines, a review a line; jsonl, JSON of any layout; csv and tsv, tables with a "
      "header; parquet and arrow, what these are; whole, a review a file; auto (default), tables and JSON by name, "
      "else "
      "by content");
  app.add_option(
         "--text-field", options.text_field,
         "Field or column that holds the review; A,B: these together, joined by line breaks (default: text, else "
         "the only one called review, reviewText, review_text, content, body or comment)")
      ->type_name("FIELD");
  app.add_option("--id-field", options.id_field, "Field or column that holds the id")
      ->capture_default_str()
      ->type_name("FIELD");
  app.add_flag_callback(
      "--no-header", [&options] { options.header = false; },
      "csv, tsv: the first row is data; columns are named 1, 2, ...");
  app.add_flag_callback(
      "--no-quoting", [&options] { options.quoting = false; }, "csv, tsv: quotes are ordinary characters");
  const auto check_different = [&options] {
    if (!options.escape.empty() && options.escape == options.delimiter) {
      throw CLI::ValidationError("--escape", "\"" + options.escape + "\" is the delimiter, too");
    }
  };
  app.add_option_function<std::string>(
         "--delimiter",
         [&options, check_different](const std::string& word) {
           const auto named = kDelimiters.find(word);
           options.delimiter =
               named != kDelimiters.end()
                   ? named->second
                   : table_character("--delimiter", word,
                                     "one ASCII character but \", or comma, semicolon, tab, bar, space or "
                                     "auto (by the first line)");
           check_different();
         },
         "csv, tsv: what separates cells: a character, or comma, semicolon, tab, bar, space or auto: by the first line "
         "(default: as the format says, or as the first line does if only so it has the text field)")
      ->type_name("CHAR");
  app.add_option_function<std::string>(
         "--escape",
         [&options, check_different](const std::string& word) {
           options.escape = table_character("--escape", word, "one ASCII character but \"");
           check_different();
         },
         "csv, tsv: a character that makes the next one an ordinary one, such as \\ (default: none)")
      ->type_name("CHAR");
  app.add_option("--include", options.include, "Read only members and paths that match GLOB; may repeat")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  app.add_option_function<std::vector<std::string>>(
         "--where",
         [&options](const std::vector<std::string>& conditions) {
           options.where = std::vector<Condition>(conditions.begin(), conditions.end());
         },
         "Read only records whose FIELD is VALUE; other conditions: FIELD!=VALUE, FIELD<NUMBER, FIELD>NUMBER, "
         "FIELD~PART; may repeat, all must hold")
      ->type_name("FIELD=VALUE")
      ->allow_extra_args(false);
  app.add_option("--limit", options.limit, "Read only the first N records, 1 or more")
      ->check(CLI::Range(std::size_t{1}, kMostRecords).description(""))
      ->type_name("N");
  CLI::Option* sample =
      app.add_option("--sample", options.sample, "Take N records by chance, 1 or more, in their order")
          ->check(CLI::Range(std::size_t{1}, kMostRecords).description(""))
          ->type_name("N");
  app.add_option("--seed", options.seed, "A number that --sample goes by: with another one it takes other records")
      ->capture_default_str()
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1} << 62).description(""))
      ->needs(sample)
      ->type_name("N");
  CLI::Option* list =
      app.add_option("--files-from", choice.files_from, "Read the files that FILE names, a line each, too; - is stdin")
          ->type_name("FILE");
  app.add_flag("-0,--null", choice.null_names, "--files-from: names end with NUL, as find -print0 writes them")
      ->needs(list);
  app.add_option("--encoding", options.encoding, "Encoding of inputs that are not UTF-8, as iconv -l names it")
      ->type_name("NAME");
  app.add_option("--max-review-bytes", options.max_review_bytes,
                 "A review of more bytes, 1 to 1073741824, is a bad record")
      ->capture_default_str()
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 30).description(""))
      ->type_name("N");
}

void add_scoring_options(CLI::App& app, ScoringChoice& choice) {
  begin_group(app, kRatingGroup);
  add_choice(
      app, "--long-text", choice.long_text, kLongTexts,
      "What is read of a review longer than the model takes: head, its first tokens; head-tail, a quarter from its "
      "start and the rest from its end; windows, all of it in pieces (default: as the model package says)");
  app.add_option("--stride", choice.stride, "Tokens that neighbouring windows share, fewer than a window has")
      ->check([](const std::string& text) { return text.starts_with('-') ? "must be 0 or more" : ""; })
      ->capture_default_str()
      ->type_name("N");
  app.add_option("--threshold", choice.threshold,
                 "Two labels: the positive one from this probability on, 0 to 1. Ratings go by the probability alone, "
                 "so that with another threshold than 0.5 a label may differ from what its rating seems to say "
                 "(default: 0.5)")
      ->check(refuse_no_share)
      ->type_name("P");
  add_choice(
      app, "--rating", choice.fitted_rating, kRatings,
      "How probabilities become a rating: linear (default), ten times p_positive, rounded, and of more than two "
      "labels the expected value of those of the model package; fitted, p_positive by the thresholds of the package");
}

std::optional<UnsureRange> UnsureChoice::range_for(const Manifest& manifest) const {
  if (!asked()) return std::nullopt;
  if (!manifest.positive) {
    throw Error(ErrorKind::usage, "--unsure: the model names no positive label, whose probability would tell");
  }
  if (range) return range;
  if (manifest.confidence_percentiles.empty()) {
    throw Error(ErrorKind::usage, "--unsure-rate: model " + manifest.name +
                                      " does not say how sure it is of most reviews (scripts/export.py --confidence): "
                                      "use --unsure LOW:HIGH");
  }
  return unsure_range(*rate, manifest.confidence_percentiles);
}

void add_unsure_options(CLI::App& app, UnsureChoice& choice) {
  begin_group(app, kRatingGroup);
  CLI::Option* range =
      app.add_option_function<std::string>(
             "--unsure",
             [&choice](const std::string& text) {
               const std::size_t colon = text.find(':');
               UnsureRange read;
               const bool fits = colon != std::string::npos && refuse_no_share(text.substr(0, colon)).empty() &&
                                 refuse_no_share(text.substr(colon + 1)).empty() &&
                                 CLI::detail::lexical_cast(text.substr(0, colon), read.low) &&
                                 CLI::detail::lexical_cast(text.substr(colon + 1), read.high) && read.low <= read.high;
               if (!fits) {
                 throw CLI::ValidationError("--unsure", "\"" + text + "\" must be LOW:HIGH, two numbers from 0 to 1");
               }
               choice.range = read;
             },
             "Mark predictions with a p_positive from LOW to HIGH as unsure, and those of texts that are mostly "
             "unknown to "
             "the vocabulary or one token over and over")
          ->type_name("LOW:HIGH");
  app.add_option(
         "--unsure-rate", choice.rate,
         "The same for the share R of reviews of which the model is least sure, by its calibration; above 0, to 0.5")
      ->check([](const std::string& text) -> std::string {
        double value = 0;
        const bool fits = CLI::detail::lexical_cast(text, value) && value > 0 && value <= 0.5;
        return fits ? "" : "\"" + text + "\" must be a number above 0, to 0.5";
      })
      ->excludes(range)
      ->type_name("R");
}

CLI::Option* add_explain_options(CLI::App& app, ExplainChoice& choice) {
  begin_group(app, kExplanationGroup);
  CLI::Option* explain = add_choice(app, "--explain", choice.unit, kExplainUnits,
                                    "Tell what each of these parts contributes to the log odds of the positive label: "
                                    "sentences, or also words, in the "
                                    "sentences that matter most");
  app.add_option("--explain-budget", choice.budget,
                 "To explain: how often the model may look at a review, each time without some of its parts, 2 to 1024")
      ->capture_default_str()
      ->check(CLI::Range(std::size_t{2}, std::size_t{1024}).description(""))
      ->needs(explain)
      ->type_name("N");
  return explain;
}

void set_explanation(PipelineOptions& options, const ExplainChoice& choice, const Manifest& manifest) {
  options.explain = choice.unit;
  options.explain_budget = choice.budget;
  if (!choice.unit || manifest.positive) return;
  throw Error(ErrorKind::usage, "--explain: the model names no positive label, whose probability would be explained");
}

void add_format_option(CLI::App& app, std::optional<OutputFormat>& format) {
  add_choice(app, "-f,--format", format, kOutputFormats,
             "Output format: text, lines for people; jsonl, a JSON object a line; csv and tsv, tables; parquet and "
             "arrow (as a stream), tables whose columns have types (default: as the extension of --output says; else "
             "text on a terminal, else jsonl)");
}

void add_color_option(CLI::App& app, Color& color) {
  add_choice(app, "--color", color, kColors,
             "Colors in text for people: always, never, or auto (default), on a terminal");
}

bool has_color(Color color, int fd) {
  if (color != Color::automatic) return color == Color::always;
  const char* refused = std::getenv("NO_COLOR");  // https://no-color.org
  return (refused == nullptr || *refused == '\0') && is_rich_terminal(fd);
}

std::pair<std::string, std::string> split_condition(const std::string& condition, const std::string& option,
                                                    const std::string& form) {
  const std::size_t equals = condition.rfind('=');  // a label's name may hold one
  if (equals == 0 || equals == std::string::npos) {
    throw CLI::ValidationError(option, "\"" + condition + "\" must be " + form);
  }
  return {condition.substr(0, equals), condition.substr(equals + 1)};
}

std::string format_name(InputFormat format) { return name_of(kInputFormats, format); }

std::string format_name(OutputFormat format) { return name_of(kOutputFormats, format); }

std::string explain_unit_name(ExplainUnit unit) { return name_of(kExplainUnits, unit); }

OutputName output_name(const std::string& path) {
  OutputName said;
  if (named_descriptor(path)) return said;
  std::filesystem::path name = ascii_lower(path);
  const std::string last = name.extension().string();
  if (last == ".gz") said.compression = Compression::gzip;
  if (last == ".zst") said.compression = Compression::zstd;
  for (const char* other : {".xz", ".bz2", ".zip", ".tar", ".tgz"}) {
    if (last != other) continue;
    throw Error(ErrorKind::usage, "--output " + path + ": " + last + " is not written; what ends in .gz or .zst is");
  }
  if (said.compression != Compression::none) name = name.stem();
  const std::string extension = name.extension().string();
  if (extension == ".arrows") said.format = OutputFormat::arrow;
  for (const char* other : {".arrow", ".feather", ".ipc"}) {
    if (extension != other) continue;
    throw Error(ErrorKind::usage,
                "--output " + path + ": Arrow is written as a stream, .arrows, and as a file in .parquet");
  }
  for (const OutputFormat format : {OutputFormat::jsonl, OutputFormat::csv, OutputFormat::tsv, OutputFormat::parquet}) {
    if (extension == "." + format_name(format)) said.format = format;
  }
  const bool is_word = extension.size() > 1 && extension.find_first_not_of(kLettersAndDigits, 1) == extension.npos &&
                       extension.find_first_not_of("0123456789", 1) != extension.npos;
  if (!said.format && is_word && !kPlainExtensions.contains(extension)) said.other = extension;
  return said;
}

std::vector<std::string> input_files(const InputChoice& input, std::string_view ways, bool quiet) {
  const bool terminal = ::isatty(STDIN_FILENO) != 0;
  const auto say = [&](const char* what) {
    if (terminal && !quiet && ::isatty(STDERR_FILENO) != 0)
      print_notice(std::string("reads ") + what + " from the terminal; Ctrl-D ends them");
  };
  if (!input.files_from.empty()) {
    if (input.files_from == "-") say("names of files, one a line,");
    return with_listed_files(input);
  }
  if (std::find(input.files.begin(), input.files.end(), "-") != input.files.end()) say("reviews, one a line,");
  if (!input.files.empty() || !input.texts.empty()) return input.files;
  if (terminal) {
    throw Error(ErrorKind::usage, "nothing to read: name a FILE" + std::string(ways) + " (see reviewrate --help)");
  }
  return {"-"};
}

Package open_package_for(const ModelChoice& choice, std::size_t& workers, bool quiet) {
  if (workers == 0) workers = available_cpus();
  bound_shape_caches(workers);
  Package package = open_package(choice);
  if (package.runs_unverified_code && !quiet) {
    print_notice(
        package.manifest.model.path +
        ": a TorchScript file is a program, and no package vouches for this one: run it only if you trust whom "
        "it comes from (scripts/export.py makes a package, whose files are checked)");
  }
  return package;
}

void check_threshold(const ScoringChoice& scoring, const Manifest& manifest) {
  if (scoring.threshold && !has_threshold(manifest)) {
    throw Error(ErrorKind::usage, "--threshold: model " + manifest.name + " has " +
                                      (manifest.labels.size() > 2 ? "more than two labels: the likeliest is the label"
                                                                  : "no label that is the positive one"));
  }
}

PipelineOptions pipeline_options(std::size_t workers, const ScoringChoice& scoring, const Manifest& manifest,
                                 const Interruption& interruption) {
  PipelineOptions options;
  options.workers = workers;
  options.window = {scoring.long_text.value_or(manifest.long_text), manifest.max_tokens, scoring.stride};
  if (options.window.policy == LongText::windows && scoring.stride >= manifest.max_tokens - 2) {
    throw Error(ErrorKind::usage, "--stride " + std::to_string(scoring.stride) + ": must be less than the " +
                                      std::to_string(manifest.max_tokens - 2) + " tokens of a window");
  }
  check_threshold(scoring, manifest);
  if (const std::string none = no_rating(manifest); scoring.fitted_rating && !none.empty()) {
    throw Error(ErrorKind::usage, "--rating: " + none);
  }
  options.scorer = {manifest.positive, scoring.threshold_or_half(), std::nullopt, manifest.label_values};
  if (scoring.fitted_rating.value_or(false)) {
    if (!manifest.rating_thresholds) {
      throw Error(ErrorKind::usage, "--rating fitted: model " + manifest.name + " brings no thresholds for it");
    }
    options.scorer.thresholds = manifest.rating_thresholds;
  }
  options.stopped = &interruption.flag();
  return options;
}

}  // namespace reviewrate::cli
