// Opening the module that links Apache Arrow. It stays open to the end: Arrow's allocators and threads outlive whoever
// has used them.
#include <dlfcn.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "arrow_module.h"
#include "reviewrate/error.h"

namespace reviewrate {
namespace {

namespace fs = std::filesystem;

#define REVIEWRATE_TEXT_OF_(name) #name
#define REVIEWRATE_TEXT_OF(name) REVIEWRATE_TEXT_OF_(name)

[[noreturn]] void fail(const std::string& reason) {
  throw Error(ErrorKind::environment, "Parquet and Arrow: " + reason);
}

/// Beside the program in a build folder, or in ../lib/reviewrate where it is installed.
fs::path module_path() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const char* way : {".", "../lib/reviewrate"}) {
    fs::path candidate = (program / way / "reviewrate_arrow.so").lexically_normal();
    if (fs::exists(candidate, error)) return candidate;
  }
  fail("reviewrate_arrow.so is not beside " + program.string() +
       ": pip install pyarrow and build again (scripts/setup does both)");
}

const ArrowModule* open_module() {
  void* module = ::dlopen(module_path().c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  void* function = module == nullptr ? nullptr : ::dlsym(module, REVIEWRATE_TEXT_OF(REVIEWRATE_OPEN_ARROW));
  if (function == nullptr) fail(std::string("cannot be loaded: ") + ::dlerror());
  return reinterpret_cast<ReviewrateOpenArrow>(function)();
}

}  // namespace

const ArrowModule& arrow_module() {
  static const ArrowModule* const module = open_module();
  return *module;
}

}  // namespace reviewrate
