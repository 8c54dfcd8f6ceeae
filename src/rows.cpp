// Plain loops that the compiler turns into vectors (-fopenmp-simd); see the header.
#include "rows.h"

namespace reviewrate {

void quantize_rows(const float* x, std::size_t rows, std::size_t columns, int levels, std::uint8_t* q,
                   RowScale* scales) {
  for (std::size_t r = 0; r < rows; ++r, x += columns, q += columns) {
    float low = x[0];
    float high = x[0];
#pragma omp simd reduction(min : low) reduction(max : high)
    for (std::size_t c = 0; c < columns; ++c) {
      low = x[c] < low ? x[c] : low;
      high = x[c] > high ? x[c] : high;
    }
    const float scale = high > low ? (high - low) / static_cast<float>(levels) : 1.0F;
    const float inverse = 1.0F / scale;
#pragma omp simd
    for (std::size_t c = 0; c < columns; ++c) {
      // Adding a half and cutting off rounds what is not negative.
      q[c] = static_cast<std::uint8_t>(static_cast<std::int32_t>((x[c] - low) * inverse + 0.5F));
    }
    scales[r] = {scale, low};
  }
}

void scale_rows(float* y, std::size_t rows, std::size_t columns, const RowScale* scales, const float* sums,
                const float* bias) {
  for (std::size_t r = 0; r < rows; ++r, y += columns) {
    const auto [scale, low] = scales[r];
#pragma omp simd
    for (std::size_t c = 0; c < columns; ++c) y[c] = scale * y[c] + (low * sums[c] + bias[c]);
  }
}

}  // namespace reviewrate
