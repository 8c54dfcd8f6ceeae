// The arithmetic of a transformer: the products of linear layers, attention, layer normalization, and what 8-bit
// products need before and after. Plain C++ on rows of numbers, no libtorch, one thread.
//
// Own products buy bits of a row that do not depend on its neighbours, weights that stay fp16 in memory, an epilogue
// (bias and activation) on values that are still in registers, and int8 on CPUs without VNNI. They do not buy more
// multiplications a second than oneDNN or MKL reach on a large matrix, nor AMX, nor linear layers in bf16.
//
// NaN and infinity are not lost: a row that is computed from one does not come out finite as a whole, so that a model
// ends as "its logits are not all finite numbers" instead of in a confident answer. (relu makes zero of minus infinity;
// in a layer the residual keeps it.)
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

/// Asymmetric quantization of one row, a token's activations: x is about scale * q + zero_offset, with q from 0 to
/// Kernels::max_quantized.
struct RowQuantization {
  float scale;
  float zero_offset;
};

/// Attention of the heads of one window: `queries` rows look at `keys` rows.
template <typename T>
struct Attention {
  const T* const* query;  ///< a pointer to each query row: its heads one after another [heads * size]
  std::size_t queries;
  const T* const* key;  ///< a pointer to each key row [heads * size], which the value row [heads * size] follows
  std::size_t keys;     ///< at least 1
  std::size_t heads;
  std::size_t size;           ///< of a head
  float* scratch;             ///< Kernels::attention_scratch(keys, size) floats
  T* out;                     ///< [queries, heads * size], rows one after another
  float* received = nullptr;  ///< [keys]: the attention that each key receives, if it is wanted
};

/// The fewest rows of a product.
constexpr std::size_t kLeastRows = 8;

/// y = activation(x W^T + bias) for a weight W [out, in] of fp16 numbers.
struct Product {
  const float* x;    ///< [rows, in]
  std::size_t rows;  ///< at least kLeastRows
  std::size_t in;
  std::size_t out;
  const Half* weight;  ///< by Kernels::pack_weight
  const float* bias;   ///< [out]
  Activation activation;
  float* scratch;  ///< Kernels::product_scratch(in) floats
  float* y;        ///< [rows, out]
};

/// The same for quantized rows and a quantized weight.
struct Int8Product {
  const std::uint8_t* q;                ///< [rows, int8_depth(in)], by Kernels::quantize_rows
  const RowQuantization* quantization;  ///< [rows]
  std::size_t rows;                     ///< at least kLeastRows
  std::size_t in;
  std::size_t out;
  const std::int8_t* weight;     ///< by Kernels::quantize_weight, then pack_int8_weight
  const float* weight_scales;    ///< of the weight's rows [out]
  const float* weight_row_sums;  ///< of the weight's rows [out]
  const float* bias;             ///< [out]
  Activation activation;
  float* y;  ///< [rows, out]
};

/// Values in a row of quantized values, with the zeros at its end.
constexpr std::size_t int8_depth(std::size_t in) { return (in + 15) / 16 * 16; }

/// One set of the kernels, compiled for one width of vectors. Its sizes and layouts are for its own use alone.
struct Kernels {
  const char* name;   ///< what it was compiled for
  int max_quantized;  ///< the greatest value of a quantized row: 255, or 127 where products are added up in 16 bits
  bool int8_is_fast;  ///< whether multiply_int8() takes less time than multiply()

  /// Values of a packed weight [out, in] (of an 8-bit one: [out, int8_depth(in)]).
  std::size_t (*packed_weight_size)(std::size_t out, std::size_t in);

  /// Floats that a product works in.
  std::size_t (*product_scratch)(std::size_t in);

  /// Floats that attention works in.
  std::size_t (*attention_scratch)(std::size_t keys, std::size_t size);

  /// Quantizes a weight [out, in] of finite numbers to q from -127 to 127, each row by a scale of its own. row_sums are
  /// those of a row's quantized values, times its scale. With AVX2 or AVX-512 but no VNNI, multiply_int8() adds up
  /// eight products at a time in 16 bits, and a scale is large enough that they stay within them.
  void (*quantize_weight)(const Half* weight, std::size_t out, std::size_t in, std::int8_t* q, float* scales,
                          float* row_sums);

  /// Copies a weight [out, in] into the order in which products read it.
  void (*pack_weight)(const Half* weight, std::size_t out, std::size_t in, Half* packed);
  void (*pack_int8_weight)(const std::int8_t* weight, std::size_t out, std::size_t in, std::int8_t* packed);

  /// A row of the result depends on its row of x alone, to the last bit.
  void (*multiply)(const Product&);
  void (*multiply_int8)(const Int8Product&);

  /// softmax(Q K^T / sqrt(size)) V of each head (https://arxiv.org/abs/1706.03762), in fp32. attend_bf16 and
  /// attend_rounded round what they multiply to bf16 where the CPU is faster at that, and add up in fp32. The attention
  /// that a key receives is the sum of its probabilities over all queries and heads
  /// (https://arxiv.org/abs/2001.08950); it is NaN where a query or a key holds NaN or infinity.
  void (*attend_fp32)(const Attention<float>&);
  void (*attend_bf16)(const Attention<Bf16>&);
  void (*attend_rounded)(const Attention<float>&);

  /// Layer normalization (https://arxiv.org/abs/1607.06450) of x + y, row by row: `rows` rows of `columns` in, to out,
  /// which may be x or y.
  void (*add_norm_fp32)(const float* x, const float* y, std::size_t rows, std::size_t columns, const float* weight,
                        const float* bias, float epsilon, float* out);
  void (*add_norm_bf16)(const Bf16* x, const Bf16* y, std::size_t rows, std::size_t columns, const float* weight,
                        const float* bias, float epsilon, Bf16* out);

  /// Per-token asymmetric quantization: `rows` rows of `columns` values to q = round((x - zero_offset) / scale), where
  /// zero_offset is the row's least value and scale spreads its range over 0..max_quantized; both are NaN for a row
  /// that holds NaN or infinity. A row depends on no other. Rows of q are `step` values apart and filled up with zeros.
  void (*quantize_rows)(const float* x, std::size_t rows, std::size_t columns, std::uint8_t* q, std::size_t step,
                        RowQuantization* quantization);

  /// Turns, in place, products of quantized rows with a matrix of `columns` rows, y[r][c] = sum over k of q[r][k] *
  /// w[c][k], into activations of the products of the rows themselves plus a bias: since x = scale * q + zero_offset,
  /// x w = scale * y + zero_offset * row_sums[c], with row_sums[c] the sum over k of w[c][k].
  void (*dequantize_products)(float* y, std::size_t rows, std::size_t columns, const RowQuantization* quantization,
                              const float* row_sums, const float* bias, Activation activation);
};

/// The sets that this CPU can run, the widest first; never empty.
const std::vector<const Kernels*>& supported_kernels();

/// The widest.
inline const Kernels& kernels() { return *supported_kernels().front(); }

/// Whether this CPU has AMX's 8-bit products, far faster than any of multiply_int8().
bool has_amx_int8();

}  // namespace reviewrate
