// What the pipeline needs of a model, whatever runs it.
#pragma once

#include <cstddef>
#include <vector>

#include "reviewrate/batch.h"

namespace reviewrate {

/// A sequence classifier. forward() may be called from several threads at once.
class Model {
 public:
  virtual ~Model() = default;

  /// How many labels it tells apart.
  virtual std::size_t labels() const = 0;

  /// The logits of every window of `batch`, row by row: [windows, labels]. Throws Error(model).
  virtual std::vector<float> forward(const Batch& batch) const = 0;
};

}  // namespace reviewrate
