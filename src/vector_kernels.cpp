// The kernels of kernels.h, for the width of vectors that this file is compiled for: once for each, in a namespace of
// its own (REVIEWRATE_KERNELS). Nothing from the standard library but types is used: an inline function of it, compiled
// here for a wide vector unit, might be the copy that the linker keeps for all.
#ifdef __AVX512BF16__
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

/// 2^x for -126 <= x <= 0; smaller x give 2^-126. The polynomial is the least-squares fit of 2^f on [-1/2, 1/2] by
/// relative error at Chebyshev nodes: at most 2e-9.
inline Vector exp2_of(Vector x) {
  x = x < -126.0F ? Vector{} - 126.0F : x;
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

inline Vector larger(Vector a, Vector b) { return a > b ? a : b; }

inline float max_of(Vector v) { return reduce<kLanes / 2>(v, larger); }

/// Products of single values, in fp32.
struct Singles {
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

/// c [kRows, Columns vectors] = a [kRows, depth] b [depth, Columns vectors], the rows a_step, b_step, c_step apart; a
/// and b in words.
template <typename Products, std::size_t Columns>
inline void multiply(const float* a, std::size_t a_step, const float* b, std::size_t b_step, std::size_t depth,
                     float* c, std::size_t c_step) {
  Vector sums[kRows][Columns] = {};
#pragma GCC unroll 2
  for (std::size_t k = 0; k < depth; ++k) {
    Vector row[Columns];
    for (std::size_t j = 0; j < Columns; ++j) row[j] = load(b + k * b_step + j * kLanes);
    for (std::size_t r = 0; r < kRows; ++r) {
      const float factor = a[r * a_step + k];
      for (std::size_t j = 0; j < Columns; ++j) sums[r][j] = Products::add_product(sums[r][j], factor, row[j]);
    }
  }
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t j = 0; j < Columns; ++j) store(c + r * c_step + j * kLanes, sums[r][j]);
  }
}

/// The same for any number of columns that is a multiple of kLanes.
template <typename Products>
void multiply(const float* a, std::size_t a_step, const float* b, std::size_t b_step, std::size_t depth, float* c,
              std::size_t c_step, std::size_t columns) {
  std::size_t j = 0;
  for (; j + kColumns * kLanes <= columns; j += kColumns * kLanes) {
    multiply<Products, kColumns>(a, a_step, b + j, b_step, depth, c + j, c_step);
  }
  if constexpr (kColumns > 2) {
    if (columns - j == 2 * kLanes) return multiply<Products, 2>(a, a_step, b + j, b_step, depth, c + j, c_step);
  }
  if (columns - j == kLanes) multiply<Products, 1>(a, a_step, b + j, b_step, depth, c + j, c_step);
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
  float* const key_words = context;                     // [words], before there is a context
  const float scale = 1.44269504F / std::sqrt(static_cast<float>(size));  // 2^(x log2(e)) = e^x
  for (std::size_t h = 0; h < job.heads; ++h) {
    const auto value = [&](std::size_t i) { return i < job.keys ? job.key[i] + h * size + width : nullptr; };
    for (std::size_t i = 0; i < job.keys; ++i) {
      if (i + kAhead < job.keys) {
        prefetch(job.key[i + kAhead] + h * size, size);
        prefetch(value(i + kAhead), size);
      }
      Products::to_words(job.key[i] + h * size, size, key_words);
      for (std::size_t k = 0; k < words; ++k) transposed[k * step + i] = key_words[k];
      if (i % kValues != 0) continue;
      float* const row = values + i / kValues * columns;
      Products::join_rows(value(i), value(i + 1), size, row);
      for (std::size_t k = size; k < columns; ++k) row[k] = 0.0F;
    }
    for (std::size_t k = 0; k < words; ++k) {
      for (std::size_t i = job.keys; i < keys; ++i) transposed[k * step + i] = 0.0F;
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
      multiply<Products>(query, words, transposed, step, words, scores, step, keys);
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
      multiply<Products>(scores, step, values, columns, value_rows, context, columns, columns);
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

/// x Phi(x), Phi the normal distribution's, by formula 7.1.26 for erf (at most 1.5e-7 off) in Abramowitz and Stegun,
/// Handbook of Mathematical Functions.
inline Vector gelu_of(Vector x) {
  const Vector magnitude = x < 0.0F ? -x : x;
  const Vector t = 1.0F / (1.0F + (0.3275911F * 0.70710678F) * magnitude);
  Vector p = Vector{} + 1.061405429F;
  p = p * t - 1.453152027F;
  p = p * t + 1.421413741F;
  p = p * t - 0.284496736F;
  p = p * t + 0.254829592F;
  const Vector tail = 0.5F * p * t * exp2_of((-0.5F * 1.44269504F) * x * x);  // Phi(-|x|)
  return x * (x < 0.0F ? tail : 1.0F - tail);
}

void scale_rows(float* y, std::size_t rows, std::size_t columns, const RowScale* scales, const float* sums,
                const float* bias, Activation activation) {
  for (std::size_t r = 0; r < rows; ++r, y += columns) {
    const auto [scale, low] = scales[r];
    const auto activate = [&](auto function) {
      std::size_t c = 0;
      for (; c + kLanes <= columns; c += kLanes) {
        store(y + c, function(scale * load(y + c) + (low * load(sums + c) + load(bias + c))));
      }
      for (; c < columns; ++c) y[c] = function(Vector{} + (scale * y[c] + (low * sums[c] + bias[c])))[0];
    };
    switch (activation) {
      case Activation::none:
        activate([](Vector x) { return x; });
        break;
      case Activation::relu:
        activate([](Vector x) { return x < 0.0F ? Vector{} : x; });
        break;
      case Activation::gelu:
        activate(gelu_of);
        break;
    }
  }
}

#define REVIEWRATE_STRING_OF(x) #x
#define REVIEWRATE_STRING(x) REVIEWRATE_STRING_OF(x)

}  // namespace

extern const Kernels kernels;
const Kernels kernels = {REVIEWRATE_STRING(REVIEWRATE_KERNELS),
                         attend<Singles, float>,
                         attend<Pairs, Bf16>,
                         attend<Pairs, float>,
                         add_norm<float>,
                         add_norm<Bf16>,
                         quantize_rows,
                         scale_rows};

}  // namespace REVIEWRATE_KERNELS
}  // namespace reviewrate
