// Opening the module that links Apache Arrow. It stays open to the end: Arrow's allocators and threads outlive whoever
// has used them.
#include <dlfcn.h>

#include "arrow_module.h"
#include "reviewrate/module_loader.h"

namespace reviewrate {

const ArrowModule& arrow_module() {
  static const ArrowModule* const module = reinterpret_cast<ReviewrateOpenArrow>(
      module_function("Parquet and Arrow", "reviewrate_arrow.so", kOpenArrow, RTLD_NODELETE,
                      ": pip install pyarrow and build again (scripts/setup does both)"))();
  return *module;
}

}  // namespace reviewrate
