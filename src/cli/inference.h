// What the commands that run the model share: which files to read, and how to run the pipeline.
#pragma once

#include <string>
#include <vector>

#include "arguments.h"
#include "process.h"
#include "reviewrate/manifest.h"
#include "reviewrate/pipeline.h"

namespace reviewrate::cli {

/// The files to read: those named, or stdin where that is no terminal. Throws Error(usage).
std::vector<std::string> input_files(const Arguments& arguments);

/// The pipeline that the command line and the model package ask for together. Throws Error(usage).
PipelineOptions pipeline_options(const Arguments& arguments, const Manifest& manifest,
                                 const Interruption& interruption);

}  // namespace reviewrate::cli
