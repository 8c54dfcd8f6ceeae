// Finding and loading the program's modules.
#include "reviewrate/module_loader.h"

#include <dlfcn.h>

#include <filesystem>
#include <system_error>

#include "reviewrate/error.h"

namespace reviewrate {

void* module_function(const std::string& what, const std::string& file, const char* function, int flags,
                      const std::string& advice) {
  namespace fs = std::filesystem;
  const auto fail = [&](const std::string& reason) { throw Error(ErrorKind::environment, what + ": " + reason); };
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  fs::path path = program / file;
  if (!fs::exists(path, error)) path = (program / "../lib/reviewrate" / file).lexically_normal();
  if (!fs::exists(path, error)) fail(file + " is not beside " + program.string() + advice);
  void* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | flags);
  void* found = module == nullptr ? nullptr : ::dlsym(module, function);
  if (found == nullptr) fail(std::string("cannot be loaded: ") + ::dlerror());
  return found;
}

}  // namespace reviewrate
