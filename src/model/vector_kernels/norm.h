// Layer normalization with the residual that goes into it.
#pragma once

#include "vectors.h"

namespace reviewrate {
namespace REVIEWRATE_KERNELS {
namespace {

template <typename T>
void add_norm(const T* x, const T* y, std::size_t rows, std::size_t columns, const float* weight, const float* bias,
              float epsilon, T* out) {
  const float per_column = 1.0F / static_cast<float>(columns);
  for (std::size_t r = 0; r < rows; ++r, x += columns, y += columns, out += columns) {
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::size_t c = 0; c < columns; ++c) sum += widen(x[c]) + widen(y[c]);
    const float mean = sum * per_column;
    float squares = 0.0F;
#pragma omp simd reduction(+ : squares)
    for (std::size_t c = 0; c < columns; ++c) {
      const float d = widen(x[c]) + widen(y[c]) - mean;
      squares += d * d;
    }
    const float variance = squares * per_column + epsilon;
    // An infinite variance would make a row of the bias alone; its difference from itself makes it NaN.
    const float inverse = 1.0F / std::sqrt(variance) + (variance - variance);
#pragma omp simd
    for (std::size_t c = 0; c < columns; ++c) {
      narrow((widen(x[c]) + widen(y[c]) - mean) * inverse * weight[c] + bias[c], out[c]);
    }
  }
}

}  // namespace
}  // namespace REVIEWRATE_KERNELS
}  // namespace reviewrate
