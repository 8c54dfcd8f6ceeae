// The arithmetic that a model runs in.
#pragma once

#include <optional>
#include <string>

namespace reviewrate {

enum class Precision {
  fp32,
  bf16,  ///< bfloat16 throughout; sums inside a layer in fp32
  int8,  ///< 8-bit weights and activations in the linear layers, each token with a scale of its own; the rest fp32
};

/// The name that manifests and the command line use.
std::optional<Precision> parse_precision(const std::string& name);
std::string precision_name(Precision precision);

}  // namespace reviewrate
