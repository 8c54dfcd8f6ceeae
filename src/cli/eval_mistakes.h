// The reviews where label and model disagree: in a file for whoever looks through the labels, the first on a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "eval_report.h"

namespace reviewrate::cli {

/// Throws Error(usage) if --mistakes FILE promises a form that is not written: it is jsonl, as it is.
void check_mistakes_file(const std::string& path);

/// A JSON object a line for each of `mistakes`, with the names that `labels` (the negative one, the positive one) have.
/// The members id, label, stars and text are such that eval can read the file again.
std::string mistakes_jsonl(const std::vector<Mistake>& mistakes, const std::array<std::string, 2>& labels);

/// The first few, of lines of at most `width` columns; empty without any.
std::string mistakes_text(const EvalReport& report, std::size_t width);

}  // namespace reviewrate::cli
