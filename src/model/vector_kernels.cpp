// The kernels of kernels.h, for the width of vectors that this file is compiled for: once for each, in a namespace of
// its own (REVIEWRATE_KERNELS). Nothing from the standard library but types is used: an inline function of it, compiled
// here for a wide vector unit, might be the copy that the linker keeps for all.
#ifdef __AVX2__
#include <immintrin.h>
#endif

#include <cmath>

#include "kernels.h"

namespace reviewrate {
namespace REVIEWRATE_KERNELS {
namespace {

// kRows x kColumns vectors of sums stay in registers during a product, with room for its operands.
#if defined(__AVX512F__)
constexpr std::size_t kLanes = 16;
constexpr std::size_t kRows = 8;
constexpr std::size_t kColumns = 3;
#else
#if defined(__AVX__)
constexpr std::size_t kLanes = 8;
#else
constexpr std::size_t kLanes = 4;
#endif
constexpr std::size_t kRows = 6;
constexpr std::size_t kColumns = 2;
#endif

using Vector = float __attribute__((vector_size(4 * kLanes)));
using Bits = std::int32_t __attribute__((vector_size(4 * kLanes)));

constexpr float kMasked = -1e30F;  ///< the score of a key that is not there

inline Vector load(const float* p) {
  Vector v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

inline void store(float* p, Vector v) { __builtin_memcpy(p, &v, sizeof v); }

/// A head's part of rows lies far from the next row's, where the CPU does not fetch ahead by itself.
constexpr std::size_t kAhead = 8;

template <typename T>
inline void prefetch(const T* p, std::size_t n) {
  constexpr std::size_t kLine = 64 / sizeof(T);
  for (std::size_t i = 0; i < n; i += kLine) __builtin_prefetch(p + i);
}

#if defined(__AVX512F__)
inline Vector load(const Half* p) {
  __m256i halves;
  __builtin_memcpy(&halves, p, sizeof halves);
  return _mm512_maskz_cvtph_ps(0xFFFF, halves);  // without the mask gcc 12 says "uninitialized" falsely
}
#elif defined(__F16C__)
inline Vector load(const Half* p) {
  __m128i halves;
  __builtin_memcpy(&halves, p, sizeof halves);
  return _mm256_cvtph_ps(halves);
}
#else
inline Vector load(const Half* p) {
  Bits bits;
  for (std::size_t i = 0; i < kLanes; ++i) bits[i] = p[i].bits;
  const Vector magnitude =
      __builtin_bit_cast(Vector, (bits & 0x7FFF) << 13) * 0x1p112F;  // so far apart are the exponents' biases; exact
  return __builtin_bit_cast(Vector, __builtin_bit_cast(Bits, magnitude) | (bits & 0x8000) << 16);
}
#endif

inline float widen(float x) { return x; }

inline float widen(Bf16 x) { return __builtin_bit_cast(float, static_cast<std::uint32_t>(x.bits) << 16); }

inline void narrow(float x, float& to) { to = x; }

inline void narrow(float x, Bf16& to) {
  const auto bits = __builtin_bit_cast(std::uint32_t, x);
  to.bits = static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);  // to nearest, ties to even
}

inline Bf16 halved(float x) {
  Bf16 half;
  narrow(x, half);
  return half;
}

inline Bf16 halved(Bf16 x) { return x; }

constexpr std::size_t round_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

inline Vector larger(Vector a, Vector b) { return a > b ? a : b; }
inline Vector smaller(Vector a, Vector b) { return a < b ? a : b; }

/// 2^x for -126 <= x <= 0; smaller x give 2^-126. The polynomial is the least-squares fit of 2^f on [-1/2, 1/2] by
/// relative error at Chebyshev nodes: at most 2e-9.
inline Vector exp2_of(Vector x) {
  x = larger(x, Vector{} - 126.0F);
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: a float this large has no digits after the point
  const Vector shifted = x + kRound;
  const Vector f = x - (shifted - kRound);
  Vector p = Vector{} + 1.53375768e-4F;
  p = p * f + 1.33998604e-3F;
  p = p * f + 9.61851953e-3F;
  p = p * f + 5.55032900e-2F;
  p = p * f + 2.40226466e-1F;
  p = p * f + 6.93147206e-1F;
  p = p * f + 1.0F;
  // The whole part, which stands in the low bits of `shifted`, is added to the exponent.
  return __builtin_bit_cast(Vector, __builtin_bit_cast(Bits, p) + (__builtin_bit_cast(Bits, shifted) << 23));
}

template <std::size_t Distance, typename Combine>
inline float reduce(Vector v, Combine combine) {
  if constexpr (Distance == 0) {
    return v[0];
  } else {
    Bits from;
    for (std::size_t i = 0; i < kLanes; ++i) from[i] = static_cast<std::int32_t>(i ^ Distance);
    return reduce<Distance / 2>(combine(v, __builtin_shuffle(v, from)), combine);
  }
}

inline float sum_of(Vector v) {
  return reduce<kLanes / 2>(v, [](Vector a, Vector b) { return a + b; });
}

inline float max_of(Vector v) { return reduce<kLanes / 2>(v, larger); }

/// Exchanges, in blocks of 2 Distance rows, lanes that are Distance apart, then nearer ones.
template <std::size_t Distance>
inline void transpose_blocks(Vector (&rows)[kLanes]) {
  Bits first;
  Bits second;
  for (std::size_t i = 0; i < kLanes; ++i) {
    const bool right = (i & Distance) != 0;
    first[i] = static_cast<std::int32_t>(right ? kLanes + i - Distance : i);
    second[i] = static_cast<std::int32_t>(right ? kLanes + i : i + Distance);
  }
  for (std::size_t r = 0; r < kLanes; ++r) {
    if ((r & Distance) != 0) continue;
    const Vector a = rows[r];
    const Vector b = rows[r + Distance];
    rows[r] = __builtin_shuffle(a, b, first);
    rows[r + Distance] = __builtin_shuffle(a, b, second);
  }
  if constexpr (Distance > 1) transpose_blocks<Distance / 2>(rows);
}

/// Products of single values, in fp32.
struct Singles {
  using Sum = Vector;
  static constexpr std::size_t kValues = 1;  ///< in a word

  /// sum + a b for each lane, with the word `a` for all lanes.
  static Vector add_product(Vector sum, float a, Vector b) { return sum + a * b; }

  template <typename T>
  static void to_words(const T* x, std::size_t n, float* words) {
    for (std::size_t k = 0; k < n; ++k) words[k] = widen(x[k]);
  }

  /// Two rows become one of words; there is nothing to join here.
  template <typename T>
  static void join_rows(const T* x, const T*, std::size_t n, float* words) {
    to_words(x, n, words);
  }

  static void shorten(float*, std::size_t) {}
};

#ifdef __AVX512BF16__
/// Products of pairs of bf16 values, which stand in the place of one float, added up in fp32: half the instructions.
struct Pairs {
  using Sum = Vector;
  static constexpr std::size_t kValues = 2;

  static Vector add_product(Vector sum, float a, Vector b) {
    return _mm512_dpbf16_ps(sum, __builtin_bit_cast(__m512bh, _mm512_set1_ps(a)), __builtin_bit_cast(__m512bh, b));
  }

  /// `n` values -> n / 2 words, rounded up.
  template <typename T>
  static void to_words(const T* x, std::size_t n, float* words) {
    auto* const halves = reinterpret_cast<unsigned char*>(words);
    for (std::size_t k = 0; k < n; ++k) {
      const Bf16 half = halved(x[k]);
      __builtin_memcpy(halves + 2 * k, &half, sizeof half);
    }
    if (n % 2 != 0) __builtin_memset(halves + 2 * n, 0, 2);
  }

  /// Word k is (x[k], y[k]); without y, (x[k], 0).
  template <typename T>
  static void join_rows(const T* x, const T* y, std::size_t n, float* words) {
    for (std::size_t k = 0; k < n; ++k) {
      const std::uint32_t low = halved(x[k]).bits;
      const std::uint32_t high = y == nullptr ? 0 : halved(y[k]).bits;
      words[k] = __builtin_bit_cast(float, low | high << 16);
    }
  }

  /// `n` floats, a multiple of 2 kLanes -> n / 2 words, in place.
  static void shorten(float* row, std::size_t n) {
    for (std::size_t i = 0; i < n; i += 2 * kLanes) {
      const __m512bh pairs = _mm512_cvtne2ps_pbh(load(row + i + kLanes), load(row + i));
      store(row + i / 2, __builtin_bit_cast(Vector, pairs));
    }
  }
};
#else
using Pairs = Singles;
#endif

/// Calls finish(sums) with sums [kRows, Columns vectors] = a [kRows, depth] b [depth, Columns vectors], the rows a_step
/// and b_step apart; a and b in words.
template <typename Products, std::size_t Columns, typename Finish>
inline void multiply_tile(const float* a, std::size_t a_step, const float* b, std::size_t b_step, std::size_t depth,
                          const Finish& finish) {
  using Sum = typename Products::Sum;
  Sum sums[kRows][Columns] = {};
#pragma GCC unroll 2
  for (std::size_t k = 0; k < depth; ++k) {
    Vector row[Columns];
    for (std::size_t j = 0; j < Columns; ++j) row[j] = load(b + k * b_step + j * kLanes);
    for (std::size_t r = 0; r < kRows; ++r) {
      float factor;
      __builtin_memcpy(&factor, a + r * a_step + k, sizeof factor);  // a word may be of another type
      for (std::size_t j = 0; j < Columns; ++j) sums[r][j] = Products::add_product(sums[r][j], factor, row[j]);
    }
  }
  Sum tile[kRows][Columns];  // what is handed on has an address, which would keep the sums themselves in memory
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t j = 0; j < Columns; ++j) tile[r][j] = sums[r][j];
  }
  finish(tile);
}

/// The same for any number of columns that is a multiple of kLanes: calls finish(c, sums) with the sums from column c
/// on.
template <typename Products, typename Finish>
inline void multiply_tiles(const float* a, std::size_t a_step, const float* b, std::size_t b_step, std::size_t depth,
                           std::size_t columns, const Finish& finish) {
  std::size_t begin = 0;
  const auto shifted = [&](auto& sums) { finish(begin, sums); };
  for (; begin + kColumns * kLanes <= columns; begin += kColumns * kLanes) {
    multiply_tile<Products, kColumns>(a, a_step, b + begin, b_step, depth, shifted);
  }
  if constexpr (kColumns > 2) {
    if (columns - begin == 2 * kLanes) {
      return multiply_tile<Products, 2>(a, a_step, b + begin, b_step, depth, shifted);
    }
  }
  if (columns - begin == kLanes) multiply_tile<Products, 1>(a, a_step, b + begin, b_step, depth, shifted);
}

/// The vectors of a tile, to the rows of y that are `step` apart.
template <std::size_t Rows, std::size_t Columns>
inline void store_tile(const Vector (&tile)[Rows][Columns], float* y, std::size_t step) {
  for (std::size_t r = 0; r < Rows; ++r) {
    for (std::size_t j = 0; j < Columns; ++j) store(y + r * step + j * kLanes, tile[r][j]);
  }
}

/// Steps of a function are taken for so many vectors at a time: each waits for the one before it, and a CPU does not
/// look far enough ahead to find the next vector's by itself.
template <std::size_t N, typename Step>
inline void side_by_side(const Step& step) {
#pragma GCC unroll 8
  for (std::size_t i = 0; i < N; ++i) step(i);
}

/// Polynomials of x, by Horner's rule; the highest power's coefficient first.
template <std::size_t N, std::size_t Terms>
inline void evaluate(const float (&coefficients)[Terms], const Vector (&x)[N], Vector (&y)[N]) {
  side_by_side<N>([&](std::size_t i) { y[i] = Vector{} + coefficients[0]; });
#pragma GCC unroll 8
  for (std::size_t term = 1; term < Terms; ++term) {
    side_by_side<N>([&](std::size_t i) { y[i] = y[i] * x[i] + coefficients[term]; });
  }
}

/// x Phi(x), Phi the normal distribution's. Phi(x) - 1/2 is x times a rational function of x^2, fitted to 6e-9 on
/// [-5.4, 5.4] by weighted least squares (Lawson's algorithm); farther out Phi is 0 or 1 within 4e-8.
template <std::size_t N>
inline void gelu(Vector (&x)[N]) {
  constexpr float kFar = 5.4F;
  constexpr float kAbove[] = {2.3386867553654156e-8F, 6.359981853165664e-6F, 1.6431858239229769e-4F,
                              4.650832619518042e-3F,  3.33719402551651e-2F,  3.98942232131958e-1F};
  constexpr float kBelow[] = {1.2165920679763076e-6F, 7.239909609779716e-5F,  1.8589642131701112e-3F,
                              2.8378520160913467e-2F, 2.5031715631484985e-1F, 1.0F};
  Vector near[N];
  Vector square[N];
  Vector above[N];
  Vector below[N];
  side_by_side<N>([&](std::size_t i) { near[i] = larger(x[i], Vector{} - kFar); });
  side_by_side<N>([&](std::size_t i) { near[i] = smaller(near[i], Vector{} + kFar); });
  side_by_side<N>([&](std::size_t i) { square[i] = near[i] * near[i]; });
  evaluate(kAbove, square, above);
  evaluate(kBelow, square, below);
  side_by_side<N>([&](std::size_t i) { x[i] *= near[i] * above[i] / below[i] + 0.5F; });
}

template <std::size_t N>
inline void activate(Activation activation, Vector (&x)[N]) {
  if (activation == Activation::relu) side_by_side<N>([&](std::size_t i) { x[i] = larger(Vector{}, x[i]); });
  if (activation == Activation::gelu) gelu(x);
}

// Weights of products are laid out in panels of kPanel rows, of the last one as many as are left, in whole vectors: the
// first column of all of them, then their second one, and so on. Columns of levels come in groups of four, as a word.
constexpr std::size_t kPanel = kColumns * kLanes;
constexpr std::size_t kLevels = 4;  ///< in a word

constexpr std::size_t panel_width(std::size_t rows_left) {
  return rows_left < kPanel ? round_up(rows_left, kLanes) : kPanel;
}

template <std::size_t Group, typename T>
void lay_out_in_groups(const T* weight, std::size_t out, std::size_t in, std::size_t depth, T* laid_out) {
  constexpr std::size_t kBlock = 64 / sizeof(T);  // columns at a time, as a cache line brings so many
  for (std::size_t begin = 0; begin < out; begin += kPanel) {
    const std::size_t width = panel_width(out - begin);
    for (std::size_t block = 0; block < depth; block += kBlock) {
      const std::size_t end = block + kBlock < depth ? block + kBlock : depth;
      for (std::size_t j = 0; j < width; ++j) {
        const std::size_t filled = begin + j < out ? in : 0;
        for (std::size_t k = block; k < end; ++k) {
          laid_out[(k / Group * width + j) * Group + k % Group] = k < filled ? weight[(begin + j) * in + k] : T{};
        }
      }
    }
    laid_out += width * depth;
  }
}

void lay_out(const Half* weight, std::size_t out, std::size_t in, Half* laid_out) {
  lay_out_in_groups<1>(weight, out, in, in, laid_out);
}

void lay_out_int8(const std::int8_t* weight, std::size_t out, std::size_t in, std::int8_t* laid_out) {
  lay_out_in_groups<kLevels>(weight, out, in, int8_depth(in), laid_out);
}

/// A panel's part of a vector with an entry for each row of a weight, filled up with zeros.
inline void load_part(const float* x, std::size_t n, float (&part)[kPanel]) {
  for (std::size_t c = 0; c < kPanel; ++c) part[c] = c < n ? x[c] : 0.0F;
}

/// Calls body(first) for each `Rows` rows; the last ones may be some of those before, too.
template <std::size_t Rows, typename Body>
inline void for_row_tiles(std::size_t rows, const Body& body) {
  for (std::size_t begin = 0; begin < rows; begin += Rows) body(begin + Rows <= rows ? begin : rows - Rows);
}

/// Adds the bias, applies the activation and stores a tile's first `wanted` columns to the rows of y that are `step`
/// apart.
template <std::size_t Rows, std::size_t Columns>
inline void finish_tile(Vector (&tile)[Rows][Columns], const float* bias, Activation activation, float* y,
                        std::size_t step, std::size_t wanted) {
  for (auto& row : tile) {
    for (std::size_t j = 0; j < Columns; ++j) row[j] += load(bias + j * kLanes);
    activate(activation, row);
  }
  if (wanted >= Columns * kLanes) return store_tile(tile, y, step);
  for (std::size_t r = 0; r < Rows; ++r) {
    for (std::size_t c = 0; c < wanted; ++c) y[r * step + c] = tile[r][c / kLanes][c % kLanes];
  }
}

void multiply(const Product& job) {
  for (std::size_t begin = 0; begin < job.out; begin += kPanel) {
    const std::size_t wanted = job.out - begin < kPanel ? job.out - begin : kPanel;
    const std::size_t width = panel_width(wanted);
    const Half* const panel = job.weight + begin * job.in;
    for (std::size_t i = 0; i < width * job.in; i += kLanes) store(job.scratch + i, load(panel + i));
    float bias[kPanel];
    load_part(job.bias + begin, wanted, bias);
    for_row_tiles<kRows>(job.rows, [&](std::size_t first) {
      float* const y = job.y + first * job.out + begin;
      multiply_tiles<Singles>(
          job.x + first * job.in, job.in, job.scratch, width, job.in, width,
          [&](std::size_t c, auto& sums) { finish_tile(sums, bias + c, job.activation, y + c, job.out, wanted - c); });
    });
  }
}

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__) || !defined(__AVX2__)
constexpr bool kShortSums = false;
constexpr std::size_t kInt8Rows = kRows;

/// Products of four levels of a row, which stand in the place of one float, with four of a weight, added up in 32 bits.
struct Quads {
  using Sum = Bits;

  static Bits add_product(Bits sum, float a, Vector b) {
#if defined(__AVX512VNNI__)
    return __builtin_bit_cast(
        Bits, _mm512_dpbusd_epi32(__builtin_bit_cast(__m512i, sum), __builtin_bit_cast(__m512i, _mm512_set1_ps(a)),
                                  __builtin_bit_cast(__m512i, b)));
#elif defined(__AVXVNNI__)
    return __builtin_bit_cast(
        Bits, _mm256_dpbusd_avx_epi32(__builtin_bit_cast(__m256i, sum), __builtin_bit_cast(__m256i, _mm256_set1_ps(a)),
                                      __builtin_bit_cast(__m256i, b)));
#else
    std::uint8_t levels[kLevels];
    std::int8_t weights[kLanes * kLevels];
    __builtin_memcpy(levels, &a, sizeof levels);
    __builtin_memcpy(weights, &b, sizeof weights);
    for (std::size_t i = 0; i < kLanes * kLevels; ++i) sum[i / kLevels] += levels[i % kLevels] * weights[i];
    return sum;
#endif
  }
};

/// Calls finish(sums) with sums [kInt8Rows, Columns vectors] = a [kInt8Rows, depth] b [depth, Columns vectors], in
/// levels.
template <std::size_t Columns, typename Finish>
inline void multiply_int8_tile(const std::uint8_t* a, std::size_t depth, const std::int8_t* b, const Finish& finish) {
  const std::size_t words = depth / kLevels;
  multiply_tile<Quads, Columns>(reinterpret_cast<const float*>(a), words, reinterpret_cast<const float*>(b),
                                Columns * kLanes, words, finish);
}
#else
constexpr bool kShortSums = true;
constexpr std::size_t kInt8Rows = 4;

using Bytes = std::int8_t __attribute__((vector_size(4 * kLanes)));
using Shorts = std::int16_t __attribute__((vector_size(4 * kLanes)));

// Sums of two neighbouring products, of levels of a row (the same four for all lanes) and of a weight; and of two
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
inline void settle(Shorts& x) { asm("" : "+v"(x)); }

/// Calls finish(sums) with sums [kInt8Rows, Columns vectors] = a [kInt8Rows, depth] b [depth, Columns vectors], in
/// levels. Two neighbouring products of four words are added up in 16 bits, which quantize_weight() has seen to; half
/// the instructions that it takes to widen each.
template <std::size_t Columns, typename Finish>
inline void multiply_int8_tile(const std::uint8_t* a, std::size_t depth, const std::int8_t* b, const Finish& finish) {
  Bits sums[kInt8Rows][Columns] = {};
  constexpr std::size_t kWords = 4;
  for (std::size_t k = 0; k < depth; k += kWords * kLevels) {
    Shorts shorts[kInt8Rows][Columns];
#pragma GCC unroll 4
    for (std::size_t word = 0; word < kWords; ++word) {
      Bytes row[Columns];
      for (std::size_t j = 0; j < Columns; ++j, b += sizeof(Bytes)) __builtin_memcpy(&row[j], b, sizeof(Bytes));
      for (std::size_t r = 0; r < kInt8Rows; ++r) {
        std::int32_t levels = 0;
        __builtin_memcpy(&levels, a + r * depth + k + word * kLevels, sizeof levels);
        for (std::size_t j = 0; j < Columns; ++j) {
          const Shorts products = pair_products(levels, row[j]);
          shorts[r][j] = word == 0 ? products : shorts[r][j] + products;
          settle(shorts[r][j]);
        }
      }
    }
    for (std::size_t r = 0; r < kInt8Rows; ++r) {
      for (std::size_t j = 0; j < Columns; ++j) sums[r][j] += pair_sums(shorts[r][j]);
    }
  }
  finish(sums);
}
#endif

/// The greatest level of a row. Where eight products are added up in 16 bits, with 255 levels the weight would have to
/// keep to half as many.
constexpr int kMostLevel = kShortSums ? 127 : 255;

/// scale * products + low * sums, for the products of a row with as many of a weight's rows.
template <std::size_t Columns>
inline void scale_products(Vector (&products)[Columns], RowScale row, const float* sums) {
  for (std::size_t j = 0; j < Columns; ++j) products[j] = row.scale * products[j] + row.low * load(sums + j * kLanes);
}

void multiply_int8(const Int8Product& job) {
  const std::size_t depth = int8_depth(job.in);
  for (std::size_t begin = 0; begin < job.out; begin += kPanel) {
    const std::size_t wanted = job.out - begin < kPanel ? job.out - begin : kPanel;
    const std::size_t vectors = panel_width(wanted) / kLanes;
    const std::int8_t* const panel = job.weight + begin * depth;
    float scales[kPanel];
    float sums[kPanel];
    float bias[kPanel];
    load_part(job.scales + begin, wanted, scales);
    load_part(job.sums + begin, wanted, sums);
    load_part(job.bias + begin, wanted, bias);
    for_row_tiles<kInt8Rows>(job.rows, [&](std::size_t first) {
      const auto finish = [&]<std::size_t Columns>(const Bits(&levels)[kInt8Rows][Columns]) {
        Vector tile[kInt8Rows][Columns];
        for (std::size_t r = 0; r < kInt8Rows; ++r) {
          for (std::size_t j = 0; j < Columns; ++j) {
            tile[r][j] = __builtin_convertvector(levels[r][j], Vector) * load(scales + j * kLanes);
          }
          scale_products(tile[r], job.row_scales[first + r], sums);
        }
        finish_tile(tile, bias, job.activation, job.y + first * job.out + begin, job.out, wanted);
      };
      const std::uint8_t* const q = job.q + first * depth;
      if (vectors == kColumns) {
        multiply_int8_tile<kColumns>(q, depth, panel, finish);
      } else if (vectors == 1) {
        multiply_int8_tile<1>(q, depth, panel, finish);
      } else {
        multiply_int8_tile<2>(q, depth, panel, finish);
      }
    });
  }
}

template <typename Products, typename T>
void attend(const Attention<T>& job) {
  constexpr std::size_t kValues = Products::kValues;
  const std::size_t size = job.size;
  const std::size_t width = job.heads * size;
  const std::size_t words = round_up(size, kValues) / kValues;  // of a head
  const std::size_t keys = round_up(job.keys, kLanes * kValues);
  const std::size_t value_rows = round_up(job.keys, kValues) / kValues;
  const std::size_t step = keys + kLanes;  // rows a power of two apart would fight for the same cache lines
  const std::size_t columns = round_up(size, kLanes);
  float* const transposed = job.scratch;                // [words, step], of which keys are used: the keys of a head
  float* const values = transposed + words * step;      // [value_rows, columns]
  float* const scores = values + value_rows * columns;  // [kRows, step], of which keys are used
  float* const query = scores + kRows * step;           // [kRows, words]
  float* const context = query + kRows * words;         // [kRows, columns]
  float* const key_tile = context;                      // [kLanes, columns], before there is a context
  const float scale = 1.44269504F / std::sqrt(static_cast<float>(size));  // 2^(x log2(e)) = e^x
  for (std::size_t h = 0; h < job.heads; ++h) {
    const auto value = [&](std::size_t i) { return i < job.keys ? job.key[i] + h * size + width : nullptr; };
    for (std::size_t begin = 0; begin < keys; begin += kLanes) {
      for (std::size_t i = begin; i < begin + kLanes; ++i) {
        float* const key = key_tile + (i - begin) * columns;
        if (i >= job.keys) {
          __builtin_memset(key, 0, sizeof(float) * words);
          continue;
        }
        if (i + kAhead < job.keys) {
          prefetch(job.key[i + kAhead] + h * size, size);
          prefetch(value(i + kAhead), size);
        }
        Products::to_words(job.key[i] + h * size, size, key);
        if (i % kValues != 0) continue;
        float* const row = values + i / kValues * columns;
        Products::join_rows(value(i), value(i + 1), size, row);
        if (columns > size) __builtin_memset(row + size, 0, sizeof(float) * (columns - size));
      }
      for (std::size_t word = 0; word < words; word += kLanes) {
        Vector rows[kLanes];
        for (std::size_t i = 0; i < kLanes; ++i) rows[i] = load(key_tile + i * columns + word);
        transpose_blocks<kLanes / 2>(rows);
        for (std::size_t k = 0; k < kLanes && word + k < words; ++k)
          store(transposed + (word + k) * step + begin, rows[k]);
      }
    }
    for (std::size_t begin = 0; begin < job.queries; begin += kRows) {
      const std::size_t rows = job.queries - begin < kRows ? job.queries - begin : kRows;
      for (std::size_t r = 0; r < kRows; ++r) {
        if (begin + kRows + r < job.queries) prefetch(job.query[begin + kRows + r] + h * size, size);
        if (r < rows) {
          Products::to_words(job.query[begin + r] + h * size, size, query + r * words);
        } else {  // missing at the end: computed as zeros and left out below
          for (std::size_t k = 0; k < words; ++k) query[r * words + k] = 0.0F;
        }
      }
      multiply_tiles<Products>(query, words, transposed, step, words, keys,
                               [&](std::size_t c, const auto& tile) { store_tile(tile, scores + c, step); });
      for (std::size_t r = 0; r < kRows; ++r) {
        for (std::size_t i = job.keys; i < keys; ++i) scores[r * step + i] = kMasked;
      }
      // Row beside row, since a single one would wait for each of its own steps.
      Vector largest[kRows];
      for (std::size_t r = 0; r < kRows; ++r) largest[r] = load(scores + r * step);
      for (std::size_t i = kLanes; i < keys; i += kLanes) {
        for (std::size_t r = 0; r < kRows; ++r) largest[r] = larger(largest[r], load(scores + r * step + i));
      }
      float lifts[kRows];
      for (std::size_t r = 0; r < kRows; ++r) lifts[r] = max_of(largest[r]) * scale;
      Vector sums[kRows];
      for (std::size_t r = 0; r < kRows; ++r) {
        float* const row = scores + r * step;
        const float lift = lifts[r];
        Vector sum = {};
        for (std::size_t i = 0; i < keys; i += kLanes) {
          const Vector p = exp2_of(load(row + i) * scale - lift);
          store(row + i, p);
          sum += p;
        }
        sums[r] = sum;
        Products::shorten(row, keys);
      }
      float shares[kRows];
      for (std::size_t r = 0; r < kRows; ++r) shares[r] = 1.0F / sum_of(sums[r]);
      multiply_tiles<Products>(scores, step, values, columns, value_rows, columns,
                               [&](std::size_t c, const auto& tile) { store_tile(tile, context + c, columns); });
      for (std::size_t r = 0; r < rows; ++r) {
        T* const out = job.out + (begin + r) * width + h * size;
        for (std::size_t k = 0; k < size; ++k) narrow(context[r * columns + k] * shares[r], out[k]);
      }
    }
  }
}

template <typename T>
void add_norm(const T* x, const T* y, std::size_t rows, std::size_t columns, const float* weight, const float* bias,
              float epsilon, T* out) {
  const float share = 1.0F / static_cast<float>(columns);
  for (std::size_t r = 0; r < rows; ++r, x += columns, y += columns, out += columns) {
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::size_t c = 0; c < columns; ++c) sum += widen(x[c]) + widen(y[c]);
    const float mean = sum * share;
    float squares = 0.0F;
#pragma omp simd reduction(+ : squares)
    for (std::size_t c = 0; c < columns; ++c) {
      const float d = widen(x[c]) + widen(y[c]) - mean;
      squares += d * d;
    }
    const float inverse = 1.0F / std::sqrt(squares * share + epsilon);
#pragma omp simd
    for (std::size_t c = 0; c < columns; ++c) {
      narrow((widen(x[c]) + widen(y[c]) - mean) * inverse * weight[c] + bias[c], out[c]);
    }
  }
}

using Four = float __attribute__((vector_size(16)));

/// The least scale with which no eight products of multiply_int8() leave 16 bits, those of the columns k, k + 1, k + 4,
/// k + 5 up to k + 13; for a row whose length is a multiple of 16. A level may be rounded away from zero by a half.
float short_scale(const float* row, std::size_t depth) {
  constexpr float kRoom = 32767.0F / kMostLevel - 8 * 0.5F;
  float most = 0.0F;
  for (std::size_t begin = 0; begin < depth; begin += 4 * kLevels) {
    Four above = {};
    Four below = {};
    for (std::size_t word = begin; word < begin + 4 * kLevels; word += kLevels) {
      Four x;
      __builtin_memcpy(&x, row + word, sizeof x);
      above += x > 0.0F ? x : Four{};
      below -= x > 0.0F ? Four{} : x;
    }
    for (const Four& side : {above, below}) {
      most = side[0] + side[1] > most ? side[0] + side[1] : most;
      most = side[2] + side[3] > most ? side[2] + side[3] : most;
    }
  }
  return most / kRoom;
}

void quantize_weight(const Half* weight, std::size_t out, std::size_t in, std::int8_t* q, float* scales, float* sums) {
  constexpr std::size_t kPart = 64;  // whole vectors, and groups of sums
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
    float largest = 1e-12F;
    float least = 0.0F;
    for_parts([&](std::size_t) {
#pragma omp simd reduction(max : largest)
      for (std::size_t k = 0; k < kPart; ++k) {
        const float magnitude = row[k] < 0.0F ? -row[k] : row[k];
        largest = magnitude > largest ? magnitude : largest;
      }
      if (!kShortSums) return;
      const float scale = short_scale(row, kPart);
      least = scale > least ? scale : least;
    });
    const float scale = largest / 127.0F > least ? largest / 127.0F : least;
    const float inverse = 1.0F / scale;
    std::int32_t sum = 0;
    for_parts([&](std::size_t n) {
#pragma omp simd reduction(+ : sum)
      for (std::size_t k = 0; k < n; ++k) {
        // Adding a half and cutting off rounds what is not negative.
        const auto level = static_cast<std::int8_t>(static_cast<std::int32_t>(row[k] * inverse + 128.5F) - 128);
        q[k] = level;
        sum += level;
      }
      q += n;
    });
    scales[r] = scale;
    sums[r] = scale * static_cast<float>(sum);
  }
}

void quantize_rows(const float* x, std::size_t rows, std::size_t columns, std::uint8_t* q, std::size_t step,
                   RowScale* scales) {
  for (std::size_t r = 0; r < rows; ++r, x += columns, q += step) {
    float low = x[0];
    float high = x[0];
#pragma omp simd reduction(min : low) reduction(max : high)
    for (std::size_t c = 0; c < columns; ++c) {
      low = x[c] < low ? x[c] : low;
      high = x[c] > high ? x[c] : high;
    }
    const float scale = high > low ? (high - low) / kMostLevel : 1.0F;
    const float inverse = 1.0F / scale;
#pragma omp simd
    for (std::size_t c = 0; c < columns; ++c) {
      // Adding a half and cutting off rounds what is not negative.
      q[c] = static_cast<std::uint8_t>(static_cast<std::int32_t>((x[c] - low) * inverse + 0.5F));
    }
    for (std::size_t c = columns; c < step; ++c) q[c] = 0;
    scales[r] = {scale, low};
  }
}

/// scale_rows() for whole vectors of a row.
template <std::size_t N>
inline void scale_vectors(float* y, RowScale row, const float* sums, const float* bias, Activation activation) {
  Vector part[1][N];
  for (std::size_t j = 0; j < N; ++j) part[0][j] = load(y + j * kLanes);
  scale_products(part[0], row, sums);
  finish_tile(part, bias, activation, y, 0, N * kLanes);
}

void scale_rows(float* y, std::size_t rows, std::size_t columns, const RowScale* scales, const float* sums,
                const float* bias, Activation activation) {
  for (std::size_t r = 0; r < rows; ++r, y += columns) {
    std::size_t c = 0;
    for (; c + kPanel <= columns; c += kPanel) {
      scale_vectors<kColumns>(y + c, scales[r], sums + c, bias + c, activation);
    }
    for (; c < columns; c += kLanes) {
      // The last vector may not be whole.
      const std::size_t n = columns - c < kLanes ? columns - c : kLanes;
      float part[3][kPanel];
      load_part(y + c, n, part[0]);
      load_part(sums + c, n, part[1]);
      load_part(bias + c, n, part[2]);
      scale_vectors<1>(part[0], scales[r], part[1], part[2], activation);
      __builtin_memcpy(y + c, part[0], sizeof(float) * n);
    }
  }
}

#define REVIEWRATE_STRING_OF(x) #x
#define REVIEWRATE_STRING(x) REVIEWRATE_STRING_OF(x)

}  // namespace

extern const Kernels kernels;
const Kernels kernels = {REVIEWRATE_STRING(REVIEWRATE_KERNELS),
                         kMostLevel,
                         quantize_weight,
                         lay_out,
                         lay_out_int8,
                         multiply,
                         multiply_int8,
                         attend<Singles, float>,
                         attend<Pairs, Bf16>,
                         attend<Pairs, float>,
                         add_norm<float>,
                         add_norm<Bf16>,
                         quantize_rows,
                         scale_rows};

}  // namespace REVIEWRATE_KERNELS
}  // namespace reviewrate
