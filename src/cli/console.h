// Lines for people on stderr.
#pragma once

#include <string>

#include "reviewrate/input.h"

namespace reviewrate::cli {

/// Writes "reviewrate: MESSAGE" as one line to stderr, whatever the message holds.
void print_notice(const std::string& message);

/// Writes what is to be told of the inputs after they were read.
void print_findings(const InputFindings& findings);

}  // namespace reviewrate::cli
