// The kernels of kernels.h, for the width of vectors that this file is compiled for: once for each, in a namespace of
// its own (REVIEWRATE_KERNELS). Nothing from the standard library but types is used: an inline function of it, compiled
// here for a wide vector unit, might be the copy that the linker keeps for all.
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

constexpr float kMasked = -1e30F;  ///< a score that counts for nothing

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

/// c [kRows, Columns vectors] += a [kRows, depth] b [depth, Columns vectors], the rows a_step, b_step, c_step apart.
template <std::size_t Columns>
inline void multiply(const float* a, std::size_t a_step, const float* b, std::size_t b_step, std::size_t depth,
                     float* c, std::size_t c_step) {
  Vector sums[kRows][Columns];
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t j = 0; j < Columns; ++j) sums[r][j] = load(c + r * c_step + j * kLanes);
  }
#pragma GCC unroll 2
  for (std::size_t k = 0; k < depth; ++k) {
    Vector row[Columns];
    for (std::size_t j = 0; j < Columns; ++j) row[j] = load(b + k * b_step + j * kLanes);
    for (std::size_t r = 0; r < kRows; ++r) {
      const float factor = a[r * a_step + k];
      for (std::size_t j = 0; j < Columns; ++j) sums[r][j] += factor * row[j];
    }
  }
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t j = 0; j < Columns; ++j) store(c + r * c_step + j * kLanes, sums[r][j]);
  }
}

/// The same for any number of columns that is a multiple of kLanes.
void multiply(const float* a, std::size_t a_step, const float* b, std::size_t b_step, std::size_t depth, float* c,
              std::size_t c_step, std::size_t columns) {
  std::size_t j = 0;
  for (; j + kColumns * kLanes <= columns; j += kColumns * kLanes) {
    multiply<kColumns>(a, a_step, b + j, b_step, depth, c + j, c_step);
  }
  if constexpr (kColumns > 2) {
    if (columns - j == 2 * kLanes) return multiply<2>(a, a_step, b + j, b_step, depth, c + j, c_step);
  }
  if (columns - j == kLanes) multiply<1>(a, a_step, b + j, b_step, depth, c + j, c_step);
}

template <typename T>
void attend(const Attention<T>& job) {
  const std::size_t size = job.size;
  const std::size_t width = job.heads * size;
  const std::size_t keys = round_up(job.keys, kLanes);
  const std::size_t step = keys + kLanes;  // rows a power of two apart would fight for the same cache lines
  const std::size_t columns = round_up(size, kLanes);
  float* const transposed = job.scratch;            // [size, step], of which keys are used: the keys of a head
  float* const values = transposed + size * step;   // [job.keys, columns]
  float* const mask = values + job.keys * columns;  // [keys]: 0, kMasked where there is no key
  float* const scores = mask + keys;                // [kRows, step], of which keys are used
  float* const query = scores + kRows * step;       // [kRows, size]
  float* const context = query + kRows * size;      // [kRows, columns]
  const float scale = 1.44269504F / std::sqrt(static_cast<float>(size));  // 2^(x log2(e)) = e^x
  for (std::size_t i = 0; i < keys; ++i) mask[i] = i < job.keys ? 0.0F : kMasked;
  for (std::size_t h = 0; h < job.heads; ++h) {
    for (std::size_t i = 0; i < job.keys; ++i) {
      const T* const key = job.key[i] + h * size;
      const T* const value = key + width;
      if (i + kAhead < job.keys) {
        prefetch(job.key[i + kAhead] + h * size, size);
        prefetch(job.key[i + kAhead] + h * size + width, size);
      }
      for (std::size_t k = 0; k < size; ++k) transposed[k * step + i] = widen(key[k]);
      for (std::size_t k = 0; k < size; ++k) values[i * columns + k] = widen(value[k]);
      for (std::size_t k = size; k < columns; ++k) values[i * columns + k] = 0.0F;
    }
    for (std::size_t k = 0; k < size; ++k) {
      for (std::size_t i = job.keys; i < keys; ++i) transposed[k * step + i] = 0.0F;
    }
    for (std::size_t begin = 0; begin < job.queries; begin += kRows) {
      const std::size_t rows = job.queries - begin < kRows ? job.queries - begin : kRows;
      for (std::size_t r = 0; r < kRows; ++r) {
        if (begin + kRows + r < job.queries) prefetch(job.query[begin + kRows + r] + h * size, size);
        if (r < rows) {
          const T* const row = job.query[begin + r] + h * size;
          for (std::size_t k = 0; k < size; ++k) query[r * size + k] = widen(row[k]);
        } else {  // missing at the end: computed as zeros and left out below
          for (std::size_t k = 0; k < size; ++k) query[r * size + k] = 0.0F;
        }
        __builtin_memcpy(scores + r * step, mask, keys * sizeof(float));
      }
      multiply(query, size, transposed, step, size, scores, step, keys);
      // Row beside row, since a single one would wait for each of its own steps.
      Vector largest[kRows];
      for (std::size_t r = 0; r < kRows; ++r) largest[r] = load(scores + r * step);
      for (std::size_t i = kLanes; i < keys; i += kLanes) {
        for (std::size_t r = 0; r < kRows; ++r) largest[r] = larger(largest[r], load(scores + r * step + i));
      }
      float shares[kRows];
      for (std::size_t r = 0; r < kRows; ++r) {
        float* const row = scores + r * step;
        const float max = max_of(largest[r]);
        Vector sum = {};
        for (std::size_t i = 0; i < keys; i += kLanes) {
          const Vector p = exp2_of((load(row + i) - max) * scale);
          store(row + i, p);
          sum += p;
        }
        shares[r] = 1.0F / sum_of(sum);
      }
      for (std::size_t i = 0; i < kRows * columns; ++i) context[i] = 0.0F;
      multiply(scores, step, values, columns, job.keys, context, columns, columns);
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

void scale_rows(float* y, std::size_t rows, std::size_t columns, const RowScale* scales, const float* sums,
                const float* bias) {
  for (std::size_t r = 0; r < rows; ++r, y += columns) {
    const auto [scale, low] = scales[r];
#pragma omp simd
    for (std::size_t c = 0; c < columns; ++c) y[c] = scale * y[c] + (low * sums[c] + bias[c]);
  }
}

#define REVIEWRATE_STRING_OF(x) #x
#define REVIEWRATE_STRING(x) REVIEWRATE_STRING_OF(x)

}  // namespace

extern const Kernels kernels;
const Kernels kernels = {REVIEWRATE_STRING(REVIEWRATE_KERNELS),
                         attend<float>,
                         attend<Bf16>,
                         add_norm<float>,
                         add_norm<Bf16>,
                         quantize_rows,
                         scale_rows};

}  // namespace REVIEWRATE_KERNELS
}  // namespace reviewrate
