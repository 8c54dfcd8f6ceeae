// reviewrate [classify]: a record out for every review in.
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "command.h"
#include "console.h"
#include "exit_status.h"
#include "explanation_page.h"
#include "help.h"
#include "journal.h"
#include "last_words.h"
#include "options.h"
#include "output_plan.h"
#include "peeked_source.h"
#include "record_writer.h"
#include "reviewrate/error.h"
#include "reviewrate/output_file.h"
#include "reviewrate/text.h"
#include "reviewrate/torch_model.h"
#include "summary.h"

namespace reviewrate::cli {
namespace {

using nlohmann::json;

/// What can be typed after `reviewrate [classify]`.
struct ClassifyOptions {
  ModelChoice model;
  InputChoice input;
  std::size_t workers = 0;
  ScoringChoice scoring;
  UnsureChoice unsure;
  ExplainChoice explain;
  std::string explain_html;
  std::optional<OutputFormat> format;
  Color color = Color::automatic;
  std::string output;
  bool annotate = false;
  std::vector<std::string> columns;
  std::string prefix;
  bool wrap = false;
  bool resume = false;
  bool force = false;
  std::string summary;
  bool fail_fast = false;
  bool quiet = false;
};

/// Everything that settles the output's bytes but the inputs: --resume has to meet it again.
json describe_run(const ClassifyOptions& a, const Package& package, OutputFormat format) {
  const Manifest& m = package.manifest;
  const InputOptions& input = a.input.options;
  std::vector<std::string> where;
  for (const Condition& condition : input.where) where.push_back(condition.text());
  return {{"program", REVIEWRATE_VERSION},
          {"libtorch", torch_version()},
          {"CPU's instructions", instruction_set()},
          {"manifest", m.path.empty() ? "" : sha256_file(m.path)},
          {"model", model_sha256(m)},
          {"vocabulary", m.vocab.sha256.empty() ? sha256_file(m.vocab.path) : m.vocab.sha256},
          {"labels", m.labels},
          {"output format", format_name(format)},
          {"texts", a.input.texts},
          {"--input-format", format_name(input.format)},
          {"--text-field", input.text_field},
          {"--id-field", input.id_field},
          {"--pass", input.pass},
          {"--annotate", a.annotate},
          {"--columns", a.columns},
          {"--prefix", a.prefix},
          {"--include", input.include},
          {"--where", where},
          {"--encoding", input.encoding},
          {"--no-header", !input.header},
          {"--no-quoting", !input.quoting},
          {"--delimiter", input.delimiter},
          {"--escape", input.escape},
          {"--max-review-bytes", input.max_review_bytes},
          {"--limit", input.limit.value_or(0)},
          {"--sample", input.sample.value_or(0)},
          {"--seed", input.seed},
          {"--precision", precision_name(package.precision)},
          {"--effort", package.effort},
          {"--long-text", long_text_name(a.scoring.long_text.value_or(m.long_text))},
          {"--stride", a.scoring.stride},
          {"--threshold", a.scoring.threshold_or_half()},
          {"--rating", a.scoring.fitted_rating.value_or(false)},
          {"--unsure", a.unsure.range ? shortest(a.unsure.range->low) + ":" + shortest(a.unsure.range->high) : ""},
          {"--unsure-rate", a.unsure.rate.value_or(0)},
          {"--explain", a.explain.unit ? explain_unit_name(*a.explain.unit) : ""},
          {"--explain-budget", a.explain.budget},
          {"--fail-fast", a.fail_fast}};
}

/// Whether what an interrupted run has written of it cannot be gone on with.
bool is_at_once(OutputFormat format) { return format == OutputFormat::text || is_binary(format); }

/// Whether `path` is or becomes a file that holds nothing but this run's records.
bool is_file(const std::string& path) {
  struct stat status = {};
  return !path.empty() && !named_descriptor(path) && (::stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode));
}

/// Whether an interrupted run could go on, as far as the output's name tells.
bool has_note(const ClassifyOptions& a) {
  return is_file(a.output) && output_name(a.output).compression == Compression::none;
}

std::vector<std::string> without_repetitions(const std::vector<std::string>& names) {
  std::vector<std::string> out;
  for (const std::string& name : names) {
    if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(name);
  }
  return out;
}

/// What a run can be resumed from is a file, and what it reads must be there a second time.
void check_resumable(const ClassifyOptions& a, const std::vector<std::string>& files) {
  if (!a.resume) return;
  if (!is_file(a.output)) throw Error(ErrorKind::usage, "--resume: needs --output FILE");
  const std::optional<OutputFormat> format = a.format ? a.format : output_name(a.output).format;
  if (format && is_at_once(*format))
    throw Error(ErrorKind::usage, "--resume: cannot go on with " + format_name(*format) + ", only jsonl, csv, tsv");
  if (output_name(a.output).compression != Compression::none) {
    throw Error(ErrorKind::usage, "--resume: cannot go on with a compressed file: name another --output");
  }
  if (std::find(files.begin(), files.end(), "-") != files.end()) {
    throw Error(ErrorKind::usage, "--resume: stdin cannot be read a second time: name a FILE");
  }
  if (!a.explain_html.empty()) {
    throw Error(ErrorKind::usage, "--explain-html: the page would lack what is written already: leave out --resume");
  }
}

/// Compares what is written with what is read, and gives what walks have to pass over.
std::vector<std::string> check_paths(const ClassifyOptions& a, const std::vector<std::string>& files) {
  OutputPlan plan;
  plan.writes("--output", a.output);
  if (a.output.empty()) plan.writes("the records", "-");
  plan.writes("--explain-html", a.explain_html);
  plan.writes("--summary", a.summary);
  if (has_note(a) && (a.resume || Journal::is_ours(a.output))) {
    plan.writes("the note of --output", Journal::path(a.output), /*required=*/a.resume);
  }
  plan.reads_inputs(files, a.input.files_from);
  plan.reads_model(find_manifest(a.model));
  plan.check();
  return plan.skip();
}

/// What an interrupted run has written is thrown away only by those who know it. Throws Error(usage).
void check_interrupted(const ClassifyOptions& a, const OutputStream& stream, const Journal& journal) {
  if (stream.size() == 0 || !journal.was_interrupted()) return;
  const std::string found =
      a.output + ": holds what an interrupted run has written (" + std::to_string(stream.size()) + " bytes)";
  if (!a.force && ::isatty(STDERR_FILENO) != 0) {
    throw Error(ErrorKind::usage, found + ": --resume goes on with it, --force begins anew");
  }
  if (!a.force) print_notice(found + ", which is discarded; --resume would have gone on with it");
}

/// Makes the file at `stream` hold nothing but whole records of this run, and says how many those are. Gives the exit
/// status of the run that has finished it already, if there is nothing to do.
std::optional<int> begin_file(const ClassifyOptions& a, OutputStream& stream, Journal& journal,
                              WrittenRecords& written) {
  if (!a.resume) check_interrupted(a, stream, journal);
  if (a.resume) {
    const Journal::Progress progress = journal.resume();
    written = progress.written;
    if (progress.finished) return progress.finished;
  }
  const bool replaces = written.bytes == 0 && stream.size() > 0;
  if (replaces) journal.starting();
  stream.truncate(written.bytes);
  if (replaces) stream.sync();  // before the note says that all there is is this run's
  journal.running();
  return std::nullopt;
}

/// What the records look like, as far as it is known before the first one is read. Throws Error(usage).
OutputOptions output_options(const ClassifyOptions& a, const Manifest& manifest, bool terminal) {
  OutputOptions output;
  const OutputFormat usual = terminal && !a.annotate ? OutputFormat::text : OutputFormat::jsonl;
  output.format = a.format ? *a.format : a.output.empty() ? usual : output_name(a.output).format.value_or(usual);
  output.labels = manifest.labels;
  output.positive = manifest.positive;
  output.pass = a.input.options.pass;
  output.on_terminal = terminal;
  output.text_width = terminal ? terminal_width(STDOUT_FILENO) : 0;
  output.wrap = a.wrap;
  output.unsure = a.unsure.asked();
  if (!output.unsure) {
    for (const std::string& column : a.columns) {
      if (column.starts_with("unsure"))
        throw Error(ErrorKind::usage, "--columns " + column + ": there is one with --unsure");
    }
  }
  output.effort = a.model.effort != kFullEffort;
  if (!output.effort && std::find(a.columns.begin(), a.columns.end(), "effort") != a.columns.end()) {
    throw Error(ErrorKind::usage, "--columns effort: there is one with another --effort than full");
  }
  if (!has_scores(output.labels) && std::find(a.columns.begin(), a.columns.end(), "scores") != a.columns.end()) {
    throw Error(ErrorKind::usage, "--columns scores: there is one of a model of more than two labels");
  }
  output.explained = a.explain.unit.has_value();
  if (!output.explained && std::find(a.columns.begin(), a.columns.end(), "explanation") != a.columns.end()) {
    throw Error(ErrorKind::usage, "--columns explanation: there is one with --explain");
  }
  if (a.wrap && output.format != OutputFormat::text) {
    throw Error(ErrorKind::usage, "--wrap: only text for people has it (-f text)");
  }
  if (has_columns(output.format) && std::find(output.pass.begin(), output.pass.end(), "*") != output.pass.end()) {
    throw Error(ErrorKind::usage, "--pass '*': " + format_name(output.format) +
                                      " needs the columns by name (--annotate keeps all of them)");
  }
  if (output.format == OutputFormat::parquet && output_name(a.output).compression != Compression::none) {
    throw Error(ErrorKind::usage, "--output " + a.output +
                                      ": Parquet is compressed in itself, and read by nobody if compressed as a whole");
  }
  if (terminal && is_binary(output.format)) {
    throw Error(ErrorKind::usage,
                "--format " + format_name(output.format) + ": is not for a terminal: name an --output");
  }
  if (a.annotate && output.format == OutputFormat::text) {
    throw Error(ErrorKind::usage, "--annotate: keeps records in jsonl, csv or tsv (-f), and not in text for people");
  }
  output.annotate = a.annotate;
  output.own = a.columns;
  output.prefix = a.prefix;
  return output;
}

/// The columns that a table keeps, which are the first record's; none of another format. Throws Error(usage) if that
/// record has a field with the name of a column that is to be added.
std::vector<std::string> columns_to_annotate(PeekedSource& source, const OutputOptions& output) {
  source.peek();
  const std::vector<std::string> columns = source.columns();
  for (const std::string& added : added_names(output)) {
    if (std::find(columns.begin(), columns.end(), added) == columns.end()) continue;
    throw Error(ErrorKind::usage, "--annotate: the input has a field " + json_string(added) +
                                      " already: give ours other names with --prefix, such as --prefix model_");
  }
  return has_columns(output.format) ? columns : std::vector<std::string>();
}

int classify(ClassifyOptions a, const Interruption& interruption) {
  if (a.output == "-") a.output.clear();
  const std::vector<std::string> files = input_files(a.input, ", pipe reviews in, or give one with --text", a.quiet);
  const bool on_stdout = a.output.empty() || named_descriptor(a.output) == STDOUT_FILENO;
  if (on_stdout && named_descriptor(a.summary) == STDOUT_FILENO) {
    throw Error(ErrorKind::usage,
                "--summary " + a.summary + ": the records are on stdout: send them to an --output FILE");
  }
  check_resumable(a, files);
  InputOptions& input = a.input.options;
  input.pass = without_repetitions(input.pass);
  input.skip = check_paths(a, files);
  const Package package = open_package_for(a.model, a.workers, a.quiet);
  const Manifest& manifest = package.manifest;
  PipelineOptions options = pipeline_options(a.workers, a.scoring, manifest, interruption);
  if (const std::string none = no_rating(manifest);
      !none.empty() && std::find(a.columns.begin(), a.columns.end(), "rating") != a.columns.end()) {
    throw Error(ErrorKind::usage, "--columns rating: " + none);
  }
  options.unsure = a.unsure.range_for(manifest);
  set_explanation(options, a.explain, manifest);
  options.fail_fast = a.fail_fast;
  options.reuse_answers = true;
  options.effort = package.effort;

  const bool terminal = on_stdout && ::isatty(STDOUT_FILENO) != 0;
  OutputOptions output = output_options(a, manifest, terminal);
  output.color = has_color(a.color, on_stdout ? STDOUT_FILENO : -1);
  if (const std::string other = a.output.empty() ? "" : output_name(a.output).other;
      !other.empty() && !a.format && !a.quiet) {
    print_notice(a.output + ": gets JSON Lines: " + other +
                 " is none of the formats, which are .jsonl, .csv, .tsv, .parquet and .arrows (or -f FORMAT)");
  }
  InputWaiter waiter(on_stdout);
  input.notify = print_notice;
  input.one_type = is_binary(output.format);
  if (a.annotate) {
    input.annotate = true;
    input.one_table = has_columns(output.format);
    input.reserved = added_names(output);
  }
  const auto source = std::make_unique<PeekedSource>(open_source(a.input.texts, files, input, waiter));
  if (a.annotate) output.columns = columns_to_annotate(*source, output);
  const auto formatter = make_formatter(output);
  std::optional<Journal> journal;
  if (has_note(a) && !is_at_once(output.format)) {
    journal.emplace(a.output,
                    Journal::Run{describe_run(a, package, output.format),
                                 files,
                                 input.skip,
                                 {.format = output.format,
                                  .header = formatter->header(),
                                  .begin = a.annotate ? "{" : "{\"id\": ",
                                  .rated = a.annotate ? std::vector<std::string>{} : std::vector<std::string>{"label"},
                                  .failure = failure_name(output)}},
                    a.resume);
  }
  const bool is_parquet = output.format == OutputFormat::parquet;
  std::optional<WholeFile> whole;
  if (is_parquet && is_file(a.output)) whole.emplace(a.output);
  OutputStream stream(whole ? whole->temporary() : a.output, /*keep=*/journal.has_value(),
                      output_name(a.output).compression);
  WrittenRecords written;
  const std::optional<int> finished = journal ? begin_file(a, stream, *journal, written) : std::nullopt;
  Summary summary(manifest.labels, output.unsure);
  summary.resumed = options.skip = written.records;
  summary.resumed_failures = written.failures;
  summary.effort = package.effort;
  if (finished) {
    if (!a.quiet) print_notice(a.output + " is complete: nothing to do");
    if (a.quiet && written.failures > 0) print_notice(summary.failure_line());
    if (!a.summary.empty()) write_whole(a.summary, summary.json(/*seconds=*/0, /*interrupted=*/false, {}));
    return *finished;
  }
  // What a pipe's reader shows could come to stand on the bar's line.
  ProgressBar bar(*source, !a.quiet && stream.keeps_records(), input, written.records > 0);
  constexpr std::size_t kToldFailures = 5;
  RecordWriter writer(stream, *formatter, written.bytes == 0 ? formatter->header() : "", summary, bar,
                      a.quiet || terminal ? 0 : kToldFailures);  // a terminal shows all of them
  const bool can_go_on = journal && journal->noted() && std::find(files.begin(), files.end(), "-") == files.end();
  const std::string the_same =
      a.explain_html.empty() ? "the same command with" : "the same command without --explain-html and with";
  const std::string advice = can_go_on    ? "interrupted: " + the_same + " --resume goes on with " + a.output
                             : is_parquet ? "interrupted: " + (a.output.empty() ? "stdout" : a.output) +
                                                ": nothing is kept, as Parquet cannot be read until its end is written"
                                          : std::string();
  set_last_words(advice);
  const auto begin = std::chrono::steady_clock::now();
  std::optional<ExplanationPage> page;
  if (!a.explain_html.empty()) page.emplace(manifest, writer);
  Sink& sink = page ? static_cast<Sink&>(*page) : writer;
  run_pipeline(*source, *package.tokenizer, *package.model, sink, options);
  set_last_words("");  // what is to be said is said in order
  writer.flush();      // of an empty input, the header
  const InputFindings findings = source->findings();
  const bool half = is_parquet && interruption.signal() != 0;
  if (!half) writer.finish(findings.types);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const bool interrupted = interruption.signal() != 0;
  const bool stopped_early = interrupted || (a.fail_fast && summary.failures > 0);
  const int status = summary.all_failures() > 0 || !findings.problems.empty() ? kRecordsFailed : kOk;
  if (journal && journal->noted() && !stopped_early) {
    stream.sync();  // before the note says that it is complete, or goes
    journal->finish(status);
  }
  stream.close();
  if (whole && !half) whole->take_place();
  whole.reset();

  bar.clear();
  // One clean record speaks for itself; none does not.
  if (a.quiet && summary.all_failures() > 0) print_notice(summary.failure_line());
  if (!a.quiet && (summary.records != 1 || summary.all_failures() > 0))
    print_figures(summary.line(seconds, findings.skipped));
  print_findings(findings);
  if (interrupted && !advice.empty()) print_notice(advice);
  if (page) write_whole(a.explain_html, page->html());
  if (!a.summary.empty()) write_whole(a.summary, summary.json(seconds, interrupted, findings));
  return interrupted ? kInterrupted + interruption.signal() : status;
}

}  // namespace

Run add_classify(CLI::App& app) {
  const auto a = std::make_shared<ClassifyOptions>();
  add_model_options(app, a->model);
  add_text_option(app, a->input, "Classify TEXT; may repeat");
  add_input_options(app, a->input);
  add_workers_option(app, a->workers);
  add_speed_options(app, a->model);
  add_scoring_options(app, a->scoring);
  add_unsure_options(app, a->unsure);
  add_explain_options(app, a->explain);
  begin_group(app, "Output");
  app.add_option("--pass", a->input.options.pass,
                 "Carry these fields or columns through; * for all others (jsonl, text)")
      ->type_name("FIELD,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  CLI::Option* annotate =
      app.add_flag("--annotate", a->annotate, "Keep every field or column as it is, and add ours behind them");
  app.add_option("--columns", a->columns,
                 "To annotate: add only these, in this order; id only where the input has none")
      ->type_name("COLUMN,...")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember(column_names()).description(""))
      ->needs(annotate);
  app.add_option("--prefix", a->prefix, "To annotate: put PREFIX before the names of ours")
      ->type_name("PREFIX")
      ->needs(annotate);
  annotate->excludes("--pass");
  add_format_option(app, a->format);
  add_color_option(app, a->color);
  app.add_flag("--wrap", a->wrap, "Text for people: the whole review below each line");
  app.add_option("-o,--output", a->output,
                 "Write records to FILE instead of stdout; the format is that of its extension, .jsonl, .csv, .tsv, "
                 ".parquet or .arrows, and what ends in .gz or .zst is compressed")
      ->type_name("FILE");
  app.add_flag("--resume", a->resume, "Go on with an interrupted --output FILE (jsonl, csv, tsv; not from stdin)");
  app.add_flag("--force", a->force, "Begin anew where --output FILE holds what an interrupted run has written")
      ->excludes("--resume");
  app.add_option("--explain-html", a->explain_html, "Write the explanations as a page to FILE")
      ->needs("--explain")
      ->type_name("FILE.html");
  app.add_option(
         "--summary", a->summary,
         "Write the closing figures to FILE as JSON; after --resume those of the records written now, and beside "
         "them how many were there (resumed)")
      ->type_name("FILE");
  app.add_flag("--fail-fast", a->fail_fast, "Stop at the first bad record");
  app.add_flag("-q,--quiet", a->quiet,
               "No progress and no closing line on stderr; if records failed, one line that says why");
  add_footer(app,
             "Example: reviewrate -t \"It is very nice film\"\n"
             "Example: reviewrate models/imdb-small/examples.csv --pass stars\n"
             "Example: reviewrate reviews.csv --text-field review --annotate -o rated.csv",
             /*has_output_fields=*/true);
  return [a](const Interruption& interruption) { return classify(*a, interruption); };
}

}  // namespace reviewrate::cli
