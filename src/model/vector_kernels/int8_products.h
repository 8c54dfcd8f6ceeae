// Linear layers in int8: per-token asymmetric quantization of activations, a scale a row for weights, and products of
// both that are exact in 32 bits.
#pragma once

#include "products.h"

namespace reviewrate {
namespace REVIEWRATE_KERNELS {
namespace {

constexpr std::size_t kQuad = 4;  ///< values of consecutive k in a 32-bit lane

#if defined(__ARM_FEATURE_MATMUL_INT8)
constexpr bool kAddsIn16Bits = false;
constexpr std::size_t kInt8Rows = kTileRows;
constexpr std::size_t kInt8Group = 8;  ///< values of consecutive k that lie together in a packed weight
constexpr int kWeightOffset = 0;       ///< what is added to the values of a packed weight

/// Calls epilogue(sums) with sums [kInt8Rows, Columns vectors] = a [kInt8Rows, depth] b [depth, Columns vectors], of
/// quantized values. One instruction multiplies groups of two rows with those of two columns: a block of four sums, two
/// of each row.
template <std::size_t Columns, typename Epilogue>
inline void multiply_int8_tile(const std::uint8_t* a, std::size_t depth, const std::int8_t* b,
                               const Epilogue& epilogue) {
  constexpr std::size_t kPairs = kInt8Rows / 2;
  int32x4_t blocks[kPairs][2 * Columns] = {};
  for (std::size_t k = 0; k < depth; k += kInt8Group) {
    uint8x16_t rows[kPairs];
    for (std::size_t p = 0; p < kPairs; ++p) {
      rows[p] = vcombine_u8(vld1_u8(a + 2 * p * depth + k), vld1_u8(a + (2 * p + 1) * depth + k));
    }
    for (std::size_t j = 0; j < 2 * Columns; ++j, b += 2 * kInt8Group) {
      const int8x16_t columns = vld1q_s8(b);
      for (std::size_t p = 0; p < kPairs; ++p) blocks[p][j] = vusmmlaq_s32(blocks[p][j], rows[p], columns);
    }
  }
  Bits sums[kInt8Rows][Columns];
  for (std::size_t p = 0; p < kPairs; ++p) {
    for (std::size_t j = 0; j < Columns; ++j) {
      const int64x2_t left = vreinterpretq_s64_s32(blocks[p][2 * j]);
      const int64x2_t right = vreinterpretq_s64_s32(blocks[p][2 * j + 1]);
      sums[2 * p][j] = __builtin_bit_cast(Bits, vzip1q_s64(left, right));
      sums[2 * p + 1][j] = __builtin_bit_cast(Bits, vzip2q_s64(left, right));
    }
  }
  epilogue(sums);
}
#elif defined(__AVX512VNNI__) || defined(__AVXVNNI__) || !defined(__AVX2__)
constexpr bool kAddsIn16Bits = false;
constexpr std::size_t kInt8Rows = kTileRows;
constexpr std::size_t kInt8Group = kQuad;

#if defined(__ARM_FEATURE_DOTPROD)
constexpr int kWeightOffset = 128;  // the instruction takes values without a sign

/// Takes off what kWeightOffset has added to the products of a's rows.
template <std::size_t Columns>
inline void take_off_offset(const std::uint8_t* a, std::size_t depth, Bits (&sums)[kInt8Rows][Columns]) {
  for (std::size_t r = 0; r < kInt8Rows; ++r, a += depth) {
    uint32x4_t added = {};
    for (std::size_t k = 0; k < depth; k += 16) added = vdotq_u32(added, vld1q_u8(a + k), vdupq_n_u8(kWeightOffset));
    for (Bits& part : sums[r]) part -= static_cast<std::int32_t>(vaddvq_u32(added));
  }
}
#else
constexpr int kWeightOffset = 0;

template <std::size_t Columns>
inline void take_off_offset(const std::uint8_t*, std::size_t, Bits (&)[kInt8Rows][Columns]) {}
#endif

/// Products of four values of a row with four of a weight, added up in 32 bits.
struct Int8Quads {
  using Sum = Bits;
  static constexpr std::size_t kGroup = kQuad;

  static Bits add_product(Bits sum, float a, Vector b) {
#if defined(__AVX512VNNI__)
    return __builtin_bit_cast(
        Bits, _mm512_dpbusd_epi32(__builtin_bit_cast(__m512i, sum), __builtin_bit_cast(__m512i, _mm512_set1_ps(a)),
                                  __builtin_bit_cast(__m512i, b)));
#elif defined(__AVXVNNI__)
    return __builtin_bit_cast(
        Bits, _mm256_dpbusd_avx_epi32(__builtin_bit_cast(__m256i, sum), __builtin_bit_cast(__m256i, _mm256_set1_ps(a)),
                                      __builtin_bit_cast(__m256i, b)));
#elif defined(__ARM_FEATURE_DOTPROD)
    const uint8x8_t quad = vreinterpret_u8_f32(float32x2_t{a, 0.0F});
    return __builtin_bit_cast(
        Bits, vdotq_lane_u32(__builtin_bit_cast(uint32x4_t, sum), __builtin_bit_cast(uint8x16_t, b), quad, 0));
#else
    std::uint8_t q[kQuad];
    std::int8_t weights[kLanes * kQuad];
    __builtin_memcpy(q, &a, sizeof q);
    __builtin_memcpy(weights, &b, sizeof weights);
    for (std::size_t i = 0; i < kLanes * kQuad; ++i) sum[i / kQuad] += q[i % kQuad] * weights[i];
    return sum;
#endif
  }
};

/// Calls epilogue(sums) with sums [kInt8Rows, Columns vectors] = a [kInt8Rows, depth] b [depth, Columns vectors], of
/// quantized values.
template <std::size_t Columns, typename Epilogue>
inline void multiply_int8_tile(const std::uint8_t* a, std::size_t depth, const std::int8_t* b,
                               const Epilogue& epilogue) {
  const std::size_t groups = depth / kQuad;
  const auto without_offset = [&](auto& sums) {
    take_off_offset(a, depth, sums);
    epilogue(sums);
  };
  multiply_tile<Int8Quads, Columns>(reinterpret_cast<const float*>(a), groups, reinterpret_cast<const float*>(b),
                                    Columns * kLanes, groups, without_offset);
}
#else
constexpr bool kAddsIn16Bits = true;
constexpr std::size_t kInt8Rows = 4;
constexpr std::size_t kInt8Group = kQuad;
constexpr int kWeightOffset = 0;

using Bytes = std::int8_t __attribute__((vector_size(4 * kLanes)));
using Shorts = std::int16_t __attribute__((vector_size(4 * kLanes)));

// Sums of two neighbouring products, of values of a row (the same four for all lanes) and of a weight; and of two
// neighbouring numbers.
#if defined(__AVX512BW__)
inline Shorts pair_products(std::int32_t a, Bytes b) {
  return __builtin_bit_cast(Shorts, _mm512_maddubs_epi16(_mm512_set1_epi32(a), __builtin_bit_cast(__m512i, b)));
}
inline Bits pair_sums(Shorts x) {
  return __builtin_bit_cast(Bits, _mm512_madd_epi16(__builtin_bit_cast(__m512i, x), _mm512_set1_epi16(1)));
}
#else
inline Shorts pair_products(std::int32_t a, Bytes b) {
  return __builtin_bit_cast(Shorts, _mm256_maddubs_epi16(_mm256_set1_epi32(a), __builtin_bit_cast(__m256i, b)));
}
inline Bits pair_sums(Shorts x) {
  return __builtin_bit_cast(Bits, _mm256_madd_epi16(__builtin_bit_cast(__m256i, x), _mm256_set1_epi16(1)));
}
#endif

/// Keeps the compiler from adding up in another order, for which there are not enough registers.
inline void keep_order(Shorts& x) { asm("" : "+v"(x)); }

/// Calls epilogue(sums) with sums [kInt8Rows, Columns vectors] = a [kInt8Rows, depth] b [depth, Columns vectors], of
/// quantized values. Two neighbouring products of four groups are added up in 16 bits, which quantize_weight() has seen
/// to: half the instructions that it takes to widen each.
template <std::size_t Columns, typename Epilogue>
inline void multiply_int8_tile(const std::uint8_t* a, std::size_t depth, const std::int8_t* b,
                               const Epilogue& epilogue) {
  Bits sums[kInt8Rows][Columns] = {};
  constexpr std::size_t kGroups = 4;
  for (std::size_t k = 0; k < depth; k += kGroups * kQuad) {
    Shorts shorts[kInt8Rows][Columns];
#pragma GCC unroll 4
    for (std::size_t group = 0; group < kGroups; ++group) {
      Bytes row[Columns];
      for (std::size_t j = 0; j < Columns; ++j, b += sizeof(Bytes)) __builtin_memcpy(&row[j], b, sizeof(Bytes));
      for (std::size_t r = 0; r < kInt8Rows; ++r) {
        std::int32_t quad = 0;
        __builtin_memcpy(&quad, a + r * depth + k + group * kQuad, sizeof quad);
        for (std::size_t j = 0; j < Columns; ++j) {
          const Shorts products = pair_products(quad, row[j]);
          shorts[r][j] = group == 0 ? products : shorts[r][j] + products;
          keep_order(shorts[r][j]);
        }
      }
    }
    for (std::size_t r = 0; r < kInt8Rows; ++r) {
      for (std::size_t j = 0; j < Columns; ++j) sums[r][j] += pair_sums(shorts[r][j]);
    }
  }
  epilogue(sums);
}
#endif

void pack_int8_weight(const std::int8_t* weight, std::size_t out, std::size_t in, std::int8_t* packed) {
  const std::size_t depth = int8_depth(in);
  pack_groups<kInt8Group>(weight, out, in, depth, packed);
  for (std::size_t i = 0; kWeightOffset != 0 && i < packed_weight_size(out, depth); ++i) {
    packed[i] = static_cast<std::int8_t>(packed[i] + kWeightOffset);  // 0..255 in the bits of a signed byte
  }
}

/// The greatest value of a quantized row. Where eight products are added up in 16 bits, with 255 the weight would have
/// to keep to half as many.
constexpr int kMaxQuantized = kAddsIn16Bits ? 127 : 255;

/// Whether multiply_int8() takes less time than multiply(): it has instructions for it, and is no loop over values.
#if defined(__AVX2__) || defined(__ARM_FEATURE_DOTPROD)
constexpr bool kInt8IsFast = true;
#else
constexpr bool kInt8IsFast = false;
#endif

/// scale * products + zero_offset * row_sums, for the products of a row with as many of a weight's rows.
template <std::size_t Columns>
inline void dequantize(Vector (&products)[Columns], RowQuantization row, const float* row_sums) {
  for (std::size_t j = 0; j < Columns; ++j) {
    products[j] = row.scale * products[j] + row.zero_offset * load(row_sums + j * kLanes);
  }
}

void multiply_int8(const Int8Product& args) {
  const std::size_t depth = int8_depth(args.in);
  for (std::size_t begin = 0; begin < args.out; begin += kPanelColumns) {
    const std::size_t wanted = args.out - begin < kPanelColumns ? args.out - begin : kPanelColumns;
    const std::size_t vectors = panel_width(wanted) / kLanes;
    const std::int8_t* const panel = args.weight + begin * depth;
    float scales[kPanelColumns];
    float row_sums[kPanelColumns];
    float bias[kPanelColumns];
    load_part(args.weight_scales + begin, wanted, scales);
    load_part(args.weight_row_sums + begin, wanted, row_sums);
    load_part(args.bias + begin, wanted, bias);
    for_row_tiles<kInt8Rows>(args.rows, [&](std::size_t first) {
      const auto epilogue = [&]<std::size_t Columns>(const Bits(&sums)[kInt8Rows][Columns]) {
        Vector tile[kInt8Rows][Columns];
        for (std::size_t r = 0; r < kInt8Rows; ++r) {
          for (std::size_t j = 0; j < Columns; ++j) {
            tile[r][j] = __builtin_convertvector(sums[r][j], Vector) * load(scales + j * kLanes);
          }
          dequantize(tile[r], args.quantization[first + r], row_sums);
        }
        finish_tile(tile, bias, args.activation, args.y + first * args.out + begin, args.out, wanted);
      };
      const std::uint8_t* const q = args.q + first * depth;
      if (vectors == kTileVectors) {
        multiply_int8_tile<kTileVectors>(q, depth, panel, epilogue);
      } else if (vectors == 1) {
        multiply_int8_tile<1>(q, depth, panel, epilogue);
      } else {
        multiply_int8_tile<2>(q, depth, panel, epilogue);
      }
    });
  }
}

/// The least scale with which no eight products of multiply_int8() leave 16 bits, those of the columns k, k + 1, k + 4,
/// k + 5 up to k + 13; for a row whose length is a multiple of 16. A value may be rounded away from zero by a half.
float scale_for_16_bits(const float* row, std::size_t depth) {
  using Quad = float __attribute__((vector_size(4 * kQuad)));
  constexpr float kLargestSum = 32767.0F / kMaxQuantized - 8 * 0.5F;
  float largest = 0.0F;
  for (std::size_t begin = 0; begin < depth; begin += 4 * kQuad) {
    Quad positive = {};
    Quad negative = {};
    for (std::size_t group = begin; group < begin + 4 * kQuad; group += kQuad) {
      Quad x;
      __builtin_memcpy(&x, row + group, sizeof x);
      positive += x > 0.0F ? x : Quad{};
      negative -= x > 0.0F ? Quad{} : x;
    }
    for (const Quad& side : {positive, negative}) {
      largest = side[0] + side[1] > largest ? side[0] + side[1] : largest;
      largest = side[2] + side[3] > largest ? side[2] + side[3] : largest;
    }
  }
  return largest / kLargestSum;
}

void quantize_weight(const Half* weight, std::size_t out, std::size_t in, std::int8_t* q, float* scales,
                     float* row_sums) {
  constexpr std::size_t kPart = 64;  // whole vectors, and all that scale_for_16_bits() adds up
  float row[kPart];
  const auto for_parts = [&](const auto& body) {
    for (std::size_t begin = 0; begin < in; begin += kPart) {
      const std::size_t n = in - begin < kPart ? in - begin : kPart;
      Half halves[kPart] = {};
      __builtin_memcpy(halves, weight + begin, sizeof(Half) * n);
      for (std::size_t k = 0; k < kPart; k += kLanes) store(row + k, load(halves + k));
      body(n);
    }
  };
  for (std::size_t r = 0; r < out; ++r, weight += in) {
    Vector magnitudes = Vector{} + 1e-12F;
    float least_scale = 0.0F;
    for_parts([&](std::size_t) {
      for (std::size_t k = 0; k < kPart; k += kLanes) {
        const Vector x = load(row + k);
        magnitudes = larger(magnitudes, larger(x, -x));
      }
      if (!kAddsIn16Bits) return;
      const float scale = scale_for_16_bits(row, kPart);
      least_scale = scale > least_scale ? scale : least_scale;
    });
    const float full_scale = max_of(magnitudes) / 127.0F;
    const float scale = full_scale > least_scale ? full_scale : least_scale;
    const float inverse = 1.0F / scale;
    std::int32_t sum = 0;
    for_parts([&](std::size_t n) {
#pragma omp simd reduction(+ : sum)
      for (std::size_t k = 0; k < n; ++k) {
        // Adding a half and cutting off rounds what is not negative.
        const auto value = static_cast<std::int8_t>(static_cast<std::int32_t>(row[k] * inverse + 128.5F) - 128);
        q[k] = value;
        sum += value;
      }
      q += n;
    });
    scales[r] = scale;
    row_sums[r] = scale * static_cast<float>(sum);
  }
}

/// The least and the greatest of n values, and whether all of them are finite.
struct Range {
  float min;
  float max;
  bool finite;
};

inline Range range_of(const float* x, std::size_t n) {
  Vector least = Vector{} + x[0];
  Vector greatest = least;
  Vector sum = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Vector part = load(x + i);
    least = smaller(least, part);
    greatest = larger(greatest, part);
    sum += nonfinite(part);
  }
  Range range = {min_of(least), max_of(greatest), false};
  float rest = sum_of(sum);
  for (; i < n; ++i) {
    range.min = x[i] < range.min ? x[i] : range.min;
    range.max = x[i] > range.max ? x[i] : range.max;
    rest += nonfinite(x[i]);
  }
  range.finite = rest == 0.0F && nonfinite(range.max - range.min) == 0.0F;
  return range;
}

void quantize_rows(const float* x, std::size_t rows, std::size_t columns, std::uint8_t* q, std::size_t step,
                   RowQuantization* quantization) {
  for (std::size_t r = 0; r < rows; ++r, x += columns, q += step) {
    const Range range = range_of(x, columns);
    if (!range.finite) {
      __builtin_memset(q, 0, step);
      quantization[r] = {__builtin_nanf(""), __builtin_nanf("")};
      continue;
    }
    // One over a scale that is not a normal number would be infinite; such a range is none.
    const float spread = (range.max - range.min) / kMaxQuantized;
    const float scale = spread >= 0x1p-126F ? spread : 1.0F;
    const float inverse = 1.0F / scale;
#pragma omp simd
    for (std::size_t c = 0; c < columns; ++c) {
      // Adding a half and cutting off rounds what is not negative.
      q[c] = static_cast<std::uint8_t>(static_cast<std::int32_t>((x[c] - range.min) * inverse + 0.5F));
    }
    for (std::size_t c = columns; c < step; ++c) q[c] = 0;
    quantization[r] = {scale, range.min};
  }
}

/// dequantize_products() for whole vectors of a row.
template <std::size_t N>
inline void dequantize_vectors(float* y, RowQuantization row, const float* row_sums, const float* bias,
                               Activation activation) {
  Vector part[1][N];
  for (std::size_t j = 0; j < N; ++j) part[0][j] = load(y + j * kLanes);
  dequantize(part[0], row, row_sums);
  finish_tile(part, bias, activation, y, 0, N * kLanes);
}

void dequantize_products(float* y, std::size_t rows, std::size_t columns, const RowQuantization* quantization,
                         const float* row_sums, const float* bias, Activation activation) {
  for (std::size_t r = 0; r < rows; ++r, y += columns) {
    std::size_t c = 0;
    for (; c + kPanelColumns <= columns; c += kPanelColumns) {
      dequantize_vectors<kTileVectors>(y + c, quantization[r], row_sums + c, bias + c, activation);
    }
    for (; c < columns; c += kLanes) {
      // The last vector may not be whole.
      const std::size_t n = columns - c < kLanes ? columns - c : kLanes;
      float part[3][kPanelColumns];
      load_part(y + c, n, part[0]);
      load_part(row_sums + c, n, part[1]);
      load_part(bias + c, n, part[2]);
      dequantize_vectors<1>(part[0], quantization[r], part[1], part[2], activation);
      __builtin_memcpy(y + c, part[0], sizeof(float) * n);
    }
  }
}

}  // namespace
}  // namespace REVIEWRATE_KERNELS
}  // namespace reviewrate
