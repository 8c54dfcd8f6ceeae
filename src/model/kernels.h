// The arithmetic of a transformer: the products of linear layers, attention, layer normalization, and what 8-bit
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

/// IEEE 754 half precision.
struct Half {
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

/// The fewest rows of a product.
constexpr std::size_t kLeastRows = 8;

/// y = activation(x W^T + bias) for a weight W [out, in] of fp16 numbers.
struct Product {
  const float* x;    ///< [rows, in]
  std::size_t rows;  ///< at least kLeastRows
  std::size_t in;
  std::size_t out;
  const Half* weight;  ///< by Kernels::lay_out
  const float* bias;   ///< [out]
  Activation activation;
  float* scratch;  ///< product_scratch(in) floats
  float* y;        ///< [rows, out]
};

/// The same for rows and a weight of 8-bit levels.
struct Int8Product {
  const std::uint8_t* q;       ///< [rows, int8_depth(in)], from 0 to Kernels::levels, filled up with zeros
  const RowScale* row_scales;  ///< [rows]
  std::size_t rows;            ///< at least kLeastRows
  std::size_t in;
  std::size_t out;
  const std::int8_t* weight;  ///< of Kernels::quantize_weight, by lay_out_int8
  const float* scales;        ///< of the weight's rows [out]
  const float* sums;          ///< of the weight's rows [out]
  const float* bias;          ///< [out]
  Activation activation;
  float* y;  ///< [rows, out]
};

/// Floats that a product works in.
std::size_t product_scratch(std::size_t in);

/// Values of a weight [out, in] that is laid out.
std::size_t laid_out_size(std::size_t out, std::size_t in);

/// Values of a row of levels with its filling.
std::size_t int8_depth(std::size_t in);

/// One set of the kernels, compiled for one width of vectors.
struct Kernels {
  const char* name;  ///< what it was compiled for
  int levels;        ///< the greatest level of a quantized row: 255, or 127 where sums are short

  /// Quantizes a weight [out, in] to levels q from -127 to 127, each row by a scale of its own. sums are those of a
  /// row's levels, times its scale. With AVX2 or AVX-512 but no VNNI sums are short: multiply_int8() adds up eight
  /// products at a time in 16 bits, and a scale is large enough that they stay within them.
  void (*quantize_weight)(const Half* weight, std::size_t out, std::size_t in, std::int8_t* q, float* scales,
                          float* sums);

  /// Lays a weight [out, in] out as products read it: laid_out_size(out, in) and laid_out_size(out, int8_depth(in))
  /// values.
  void (*lay_out)(const Half* weight, std::size_t out, std::size_t in, Half* laid_out);
  void (*lay_out_int8)(const std::int8_t* weight, std::size_t out, std::size_t in, std::int8_t* laid_out);

  /// A row of the result depends on its row of x alone, to the last bit.
  void (*multiply)(const Product&);
  void (*multiply_int8)(const Int8Product&);

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

  /// Quantizes `rows` rows of `columns` values to q = round((x - low) / scale), at most `levels`, where low is the
  /// row's least value and scale spreads its range over all levels. A row depends on no other. Rows of q are `step`
  /// values apart and filled up with zeros.
  void (*quantize_rows)(const float* x, std::size_t rows, std::size_t columns, std::uint8_t* q, std::size_t step,
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

/// Whether this CPU has AMX's products of 8-bit levels, far faster than any of multiply_int8().
bool has_amx_int8();

}  // namespace reviewrate
