// What stands around an 8-bit matrix product: quantizing its input and scaling its output, row by row.
#pragma once

#include <cstddef>
#include <cstdint>

namespace reviewrate {

/// A row's values are about scale * q + low, with q from 0 to the largest level.
struct RowScale {
  float scale;
  float low;
};

/// Quantizes `rows` rows of `columns` values to q = round((x - low) / scale), at most `levels` (255, or less), where
/// low is the row's least value and scale spreads its range over all levels. A row depends on no other.
void quantize_rows(const float* x, std::size_t rows, std::size_t columns, int levels, std::uint8_t* q,
                   RowScale* scales);

/// Turns, in place, products of quantized rows with a matrix of `columns` rows, y[r][c] = sum over k of q[r][k] *
/// w[c][k], into products of the rows themselves plus a bias: since x = scale * q + low,
/// x w = scale * y + low * sums[c], with sums[c] the sum over k of w[c][k].
void scale_rows(float* y, std::size_t rows, std::size_t columns, const RowScale* scales, const float* sums,
                const float* bias);

}  // namespace reviewrate
