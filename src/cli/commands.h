// The commands; each returns the program's exit status and throws Error.
#pragma once

#include "arguments.h"
#include "process.h"

namespace reviewrate::cli {

int classify(const Arguments& arguments, const Interruption& interruption);
int eval(const Arguments& arguments, const Interruption& interruption);
int diff(const Arguments& arguments, const Interruption& interruption);
int tokenize(const Arguments& arguments, const Interruption& interruption);
int bench(const Arguments& arguments, const Interruption& interruption);
int verify(const Arguments& arguments, const Interruption& interruption);
int info(const Arguments& arguments);

}  // namespace reviewrate::cli
