// A model without libtorch in place of src/model/torch_model.cpp, so that tests and fuzzers, sanitizers among them,
// open packages and run them. It is DistilBERT's formula, a window at a time, on the program's kernels.
#pragma once

#include <cstddef>

namespace reviewrate::testing {

/// How often load_torch_model() was called.
std::size_t models_loaded();

}  // namespace reviewrate::testing
