// The reviews where label and model disagree: in a file for whoever looks through the labels, the first on a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "eval_report.h"
#include "reviewrate/package.h"
#include "reviewrate/pipeline.h"

namespace reviewrate::cli {

/// Throws Error(usage) if --mistakes FILE promises a form that is not written: it is jsonl, as it is.
void check_mistakes_file(const std::string& path);

/// Explains each of `mistakes` as PipelineOptions::explain asks; true unless it was stopped. With a bar if it is
/// `told`.
bool explain_mistakes(std::vector<Mistake>& mistakes, const Package& package, const PipelineOptions& options,
                      bool told);

/// A JSON object a line for each of `mistakes`, with the names that `labels` have. The members id, label, stars and
/// text are such that eval can read the file again.
std::string mistakes_jsonl(const std::vector<Mistake>& mistakes, const MeasuredLabels& labels);

/// The first few, of lines of at most `width` columns; empty without any.
std::string mistakes_text(const EvalReport& report, std::size_t width);

}  // namespace reviewrate::cli
