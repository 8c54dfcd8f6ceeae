// A TorchScript module as a Model. No header here shows libtorch.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "reviewrate/file.h"
#include "reviewrate/manifest.h"
#include "reviewrate/model.h"
#include "reviewrate/precision.h"

namespace reviewrate {

/// What the TorchScript module is, beyond its file.
struct TorchModelOptions {
  ModelInterface interface = ModelInterface::native;
  Precision precision = Precision::fp32;  ///< other ones: native models only
  std::vector<double> keep = {};          ///< native models: a schedule's, or empty: every token goes on
  std::size_t labels = 0;                 ///< expected width of the logits; 0: whatever a traced module gives
  std::size_t vocab_size = 1;             ///< ids from 0 to vocab_size - 1 have to be known to the model
  std::size_t max_tokens = 1;             ///< so many tokens, special ones included, have to fit into a window
};

/// Makes the module in `file` ready. Of a native model nothing is executed; a traced one is a program, and whoever
/// wrote it has the rights of this one. Throws Error(model).
std::unique_ptr<Model> load_torch_model(const FileBytes& file, const TorchModelOptions& options);

/// Whether this CPU has the instructions that make `precision` worth its while.
bool is_fast(Precision precision);

/// What the kernels in use were compiled for: other ones round differently.
std::string instruction_set();

/// The version of the libtorch in use.
std::string torch_version();

}  // namespace reviewrate
