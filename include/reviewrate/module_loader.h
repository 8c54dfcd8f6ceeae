// Shared libraries of our own that are loaded only when something needs them.
#pragma once

#include <string>

namespace reviewrate {

/// The function `function` of the module `file`, which lies beside the program in a build folder, or in
/// ../lib/reviewrate where it is installed. `flags` go to dlopen beside RTLD_NOW and RTLD_LOCAL. The module stays
/// loaded. Throws Error(environment), which begins with `what` it is for and ends with `advice` where there is no such
/// file.
void* module_function(const std::string& what, const std::string& file, const char* function, int flags,
                      const std::string& advice = "");

}  // namespace reviewrate
