// The arithmetic around the matrix products of the linear layers: attention, layer normalization, and what 8-bit
// products need before and after. Plain C++ on rows of numbers, no libtorch, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace reviewrate {

/// bfloat16: the upper half of a float.
struct Bf16 {
  std::uint16_t bits;
};

enum class Activation { none, relu, gelu };

/// A row's values are about scale * q + low, with q from 0 to the largest level.
struct RowScale {
  float scale;
  float low;
};

/// Attention of the heads of one window: `queries` rows look at `keys` rows.
template <typename T>
struct Attention {
  const T* const* query;  ///< a pointer to each query row: its heads one after another [heads * size]
  std::size_t queries;
  const T* const* key;  ///< a pointer to each key row [heads * size], which the value row [heads * size] follows
  std::size_t keys;     ///< at least 1
  std::size_t heads;
  std::size_t size;  ///< of a head
  float* scratch;    ///< attention_scratch(keys, size) floats
  T* out;            ///< [queries, heads * size], rows one after another
};

/// Floats that attend() works in.
std::size_t attention_scratch(std::size_t keys, std::size_t size);

/// One set of the kernels, compiled for one width of vectors.
struct Kernels {
  const char* name;  ///< what it was compiled for

  /// softmax(Q K^T / sqrt(size)) V of each head (https://arxiv.org/abs/1706.03762), in fp32. attend_bf16 and
  /// attend_rounded round what they multiply to bf16 where the CPU is faster at that, and add up in fp32.
  void (*attend_fp32)(const Attention<float>&);
  void (*attend_bf16)(const Attention<Bf16>&);
  void (*attend_rounded)(const Attention<float>&);

  /// Layer normalization (https://arxiv.org/abs/1607.06450) of x + y, row by row: `rows` rows of `columns` in, to out,
  /// which may be x or y.
  void (*add_norm_fp32)(const float* x, const float* y, std::size_t rows, std::size_t columns, const float* weight,
                        const float* bias, float epsilon, float* out);
  void (*add_norm_bf16)(const Bf16* x, const Bf16* y, std::size_t rows, std::size_t columns, const float* weight,
                        const float* bias, float epsilon, Bf16* out);

  /// Quantizes `rows` rows of `columns` values to q = round((x - low) / scale), at most `levels` (255, or less), where
  /// low is the row's least value and scale spreads its range over all levels. A row depends on no other.
  void (*quantize_rows)(const float* x, std::size_t rows, std::size_t columns, int levels, std::uint8_t* q,
                        RowScale* scales);

  /// Turns, in place, products of quantized rows with a matrix of `columns` rows, y[r][c] = sum over k of q[r][k] *
  /// w[c][k], into activations of the products of the rows themselves plus a bias: since x = scale * q + low,
  /// x w = scale * y + low * sums[c], with sums[c] the sum over k of w[c][k].
  void (*scale_rows)(float* y, std::size_t rows, std::size_t columns, const RowScale* scales, const float* sums,
                     const float* bias, Activation activation);
};

/// The sets that this CPU can run, the widest first; never empty.
const std::vector<const Kernels*>& supported_kernels();

/// The widest.
inline const Kernels& kernels() { return *supported_kernels().front(); }

}  // namespace reviewrate
