// Options of the pipeline, from what was typed and what the model package says.
#include "inference.h"

#include <unistd.h>

#include "reviewrate/error.h"

namespace reviewrate::cli {

std::vector<std::string> input_files(const Arguments& a) {
  if (!a.files.empty() || !a.texts.empty()) return a.files;
  if (::isatty(STDIN_FILENO) != 0) {
    const bool classifies = a.command == "classify";
    const char* const ways = classifies ? ", pipe reviews in, or give one with --text" : " or pipe reviews in";
    throw Error(ErrorKind::usage, std::string("nothing to read: name a FILE") + (a.command == "bench" ? "" : ways) +
                                      " (see reviewrate --help)");
  }
  return {"-"};
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

}  // namespace reviewrate::cli
