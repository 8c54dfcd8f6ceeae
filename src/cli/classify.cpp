// reviewrate [classify]: a record out for every review in.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <optional>

#include "commands.h"
#include "exit_status.h"
#include "inference.h"
#include "journal.h"
#include "package.h"
#include "record_writer.h"
#include "reviewrate/error.h"
#include "summary.h"

namespace reviewrate::cli {
namespace {

bool is_regular(const std::string& path) {
  struct stat status = {};
  return ::stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode);
}

/// Refuses to empty, or to append to, a file that is about to be read.
void check_output_is_no_input(const Arguments& a, const std::vector<std::string>& files) {
  struct stat output = {};
  const int result = a.output.empty() ? ::fstat(STDOUT_FILENO, &output) : ::stat(a.output.c_str(), &output);
  if (result != 0 || !S_ISREG(output.st_mode)) return;
  for (const std::string& file : files) {
    struct stat input = {};
    const int found = file == "-" ? ::fstat(STDIN_FILENO, &input) : ::stat(file.c_str(), &input);
    if (found == 0 && input.st_dev == output.st_dev && input.st_ino == output.st_ino) {
      throw Error(ErrorKind::usage, (a.output.empty() ? "stdout" : "--output " + a.output) + ": is also an input");
    }
  }
}

/// What a run can be resumed from is a file, and what it reads must be there a second time.
void check_resumable(const Arguments& a, const std::vector<std::string>& files) {
  if (!a.resume) return;
  if (a.output.empty() || !is_regular(a.output)) throw Error(ErrorKind::usage, "--resume: needs --output FILE");
  if (a.format == OutputFormat::text)
    throw Error(ErrorKind::usage, "--resume: cannot go on with text, only jsonl, csv, tsv");
  if (std::find(files.begin(), files.end(), "-") != files.end()) {
    throw Error(ErrorKind::usage, "--resume: stdin cannot be read a second time: name a FILE");
  }
}

}  // namespace

int classify(const Arguments& arguments, const Interruption& interruption) {
  Arguments a = arguments;
  if (a.output == "-") a.output.clear();
  const std::vector<std::string> files = input_files(a);
  check_output_is_no_input(a, files);
  if (a.summary == "-" && a.output.empty()) {
    throw Error(ErrorKind::usage, "--summary -: the records are on stdout: send them to an --output FILE");
  }
  check_resumable(a, files);
  Manifest manifest = find_manifest(a);
  const Precision precision = choose_precision(a, manifest);
  a.precision = precision_name(precision);  // what --resume has to meet again
  const auto tokenizer = load_tokenizer(manifest);
  const auto model = load_model(manifest, precision);
  PipelineOptions options = pipeline_options(a, manifest, interruption);

  OutputOptions output;
  const bool terminal = a.output.empty() && ::isatty(STDOUT_FILENO) != 0;
  output.format = a.format.value_or(terminal ? OutputFormat::text : OutputFormat::jsonl);
  output.labels = manifest.labels;
  output.pass = a.input.pass;
  output.text_width = terminal_width(STDOUT_FILENO);
  const bool columns = output.format == OutputFormat::csv || output.format == OutputFormat::tsv;
  if (columns && std::find(output.pass.begin(), output.pass.end(), "*") != output.pass.end()) {
    throw Error(ErrorKind::usage, "--pass '*': csv and tsv need the columns by name");
  }
  const auto formatter = make_formatter(output);

  const bool resumable = !a.output.empty() && is_regular(a.output);
  if (resumable) a.input.skip = {a.output, Journal::path(a.output)};
  InputWaiter waiter(a.output.empty());
  const auto source = open_source(a.texts, files, a.input, waiter);
  std::optional<Journal> journal;
  if (resumable) journal.emplace(a.output, output.format, a, manifest, files);
  WrittenRecords written;
  if (a.resume) {
    const auto before = journal->resume();
    if (!before) {
      if (!a.quiet) std::cerr << "reviewrate: " << a.output << " is complete: nothing to do\n";
      return count_written(a.output, output.format).failures > 0 ? kRecordsFailed : kOk;
    }
    written = *before;
  }
  OutputStream stream(a.output, journal.has_value());
  if (journal) {
    if (written.bytes == 0) journal->starting();
    stream.truncate(written.bytes);
    journal->running();
  }

  Summary summary(manifest.labels);
  summary.resumed = options.skip = written.records;
  summary.failures = written.failures;
  ProgressBar bar(*source, !a.quiet && !terminal);
  RecordWriter writer(stream, *formatter, written.bytes == 0 ? formatter->header() : "", summary, bar);
  const auto begin = std::chrono::steady_clock::now();
  run_pipeline(*source, *tokenizer, *model, writer, options);
  writer.flush();  // of an empty input, the header
  stream.close();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const bool interrupted = interruption.signal() != 0;
  const bool stopped_early = interrupted || (a.fail_fast && summary.failures > written.failures);
  if (journal && !stopped_early) journal->complete();

  bar.clear();
  // One clean record speaks for itself; none does not.
  if (!a.quiet && (summary.records != 1 || summary.failures > 0)) {
    std::cerr << "reviewrate: " << summary.line(seconds) << '\n';
  }
  if (!a.summary.empty()) {
    OutputStream file(a.summary == "-" ? "" : a.summary);
    file.write(summary.json(seconds, interrupted));
    file.close();
  }
  if (interrupted) return kInterrupted + interruption.signal();
  return summary.failures > 0 ? kRecordsFailed : kOk;
}

}  // namespace reviewrate::cli
