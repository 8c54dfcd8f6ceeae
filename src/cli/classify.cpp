// reviewrate [classify]: a record out for every review in.
#include <sys/stat.h>
#include <unistd.h>

#include <iostream>

#include "commands.h"
#include "exit_status.h"
#include "package.h"
#include "record_writer.h"
#include "reviewrate/error.h"

namespace reviewrate::cli {
namespace {

/// The files to read: those named, or stdin where that is no terminal.
std::vector<std::string> input_files(const Arguments& a) {
  if (!a.files.empty() || !a.texts.empty()) return a.files;
  if (::isatty(STDIN_FILENO) != 0) {
    throw Error(ErrorKind::usage, "nothing to read: name a FILE, pipe reviews in, or give one with --text (see reviewrate --help)");
  }
  return {"-"};
}

/// Refuses to empty a file that is about to be read.
void check_output_is_no_input(const Arguments& a) {
  struct stat output = {};
  if (a.output.empty() || ::stat(a.output.c_str(), &output) != 0 || !S_ISREG(output.st_mode)) return;
  for (const std::string& file : a.files) {
    struct stat input = {};
    const int result = file == "-" ? ::fstat(STDIN_FILENO, &input) : ::stat(file.c_str(), &input);
    if (result == 0 && input.st_dev == output.st_dev && input.st_ino == output.st_ino) {
      throw Error(ErrorKind::usage, "--output " + a.output + ": is also an input");
    }
  }
}

PipelineOptions pipeline_options(const Arguments& a, const Manifest& manifest, const Interruption& interruption) {
  PipelineOptions options;
  options.workers = a.workers > 0 ? a.workers : available_cpus();
  options.window = {a.long_text.value_or(manifest.long_text), manifest.max_tokens, a.stride};
  if (options.window.policy == LongText::windows && a.stride >= manifest.max_tokens - 2) {
    throw Error(ErrorKind::usage, "--stride " + std::to_string(a.stride) + ": must be less than the " +
                                      std::to_string(manifest.max_tokens - 2) + " tokens of a window");
  }
  options.scorer = {manifest.positive, a.threshold, std::nullopt};
  if (a.fitted_rating) {
    if (!manifest.rating_thresholds) {
      throw Error(ErrorKind::usage, "--rating fitted: model " + manifest.name + " brings no thresholds for it");
    }
    options.scorer.thresholds = manifest.rating_thresholds;
  }
  options.fail_fast = a.fail_fast;
  options.stopped = &interruption.flag();
  return options;
}

}  // namespace

int classify(const Arguments& a, const Interruption& interruption) {
  const std::vector<std::string> files = input_files(a);
  check_output_is_no_input(a);
  Manifest manifest = find_manifest(a);
  const auto tokenizer = load_tokenizer(manifest);
  const auto model = load_model(manifest);

  OutputOptions output;
  const bool terminal = a.output.empty() && ::isatty(STDOUT_FILENO) != 0;
  output.format = a.format.value_or(terminal ? OutputFormat::text : OutputFormat::jsonl);
  output.labels = manifest.labels;
  output.pass = a.input.pass;
  output.text_width = terminal_width(STDOUT_FILENO);
  const auto formatter = make_formatter(output);

  InputWaiter waiter(a.output.empty());
  const auto source = open_source(a.texts, files, a.input, waiter);
  OutputStream stream(a.output);
  RecordWriter writer(stream, *formatter);
  run_pipeline(*source, *tokenizer, *model, writer, pipeline_options(a, manifest, interruption));
  writer.flush();
  stream.close();

  if (writer.failures() > 0 && !a.quiet) {
    std::cerr << "reviewrate: " << writer.failures() << " of " << writer.records()
              << " records failed: their records say why\n";
  }
  if (interruption.signal() != 0) return kInterrupted + interruption.signal();
  return writer.failures() > 0 ? kRecordsFailed : kOk;
}

}  // namespace reviewrate::cli
