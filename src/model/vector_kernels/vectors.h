// Vectors of the width that is compiled for, and functions on them.
#pragma once

#ifdef __AVX2__
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include <cmath>
#include <utility>

#include "../kernels.h"

namespace reviewrate {
namespace REVIEWRATE_KERNELS {
namespace {

#if defined(__AVX512F__)
constexpr std::size_t kLanes = 16;
#elif defined(__AVX__)
constexpr std::size_t kLanes = 8;
#else
constexpr std::size_t kLanes = 4;
#endif

using Vector = float __attribute__((vector_size(4 * kLanes)));
using Bits = std::int32_t __attribute__((vector_size(4 * kLanes)));

constexpr std::size_t round_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

inline Vector load(const float* p) {
  Vector v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

inline void store(float* p, Vector v) { __builtin_memcpy(p, &v, sizeof v); }

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
#elif defined(__aarch64__)
inline Vector load(const Half* p) {
  float16x4_t halves;
  __builtin_memcpy(&halves, p, sizeof halves);
  return __builtin_bit_cast(Vector, vcvt_f32_f16(halves));
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
  const std::uint32_t rounded = bits + 0x7FFF + (bits >> 16 & 1);  // to nearest, ties to even
  // Rounding would carry some NaNs into the sign and on to zero.
  to.bits = static_cast<std::uint16_t>((x == x ? rounded : bits | 0x400000) >> 16);
}

// Where one of both is NaN these give b.
inline Vector larger(Vector a, Vector b) { return a > b ? a : b; }
inline Vector smaller(Vector a, Vector b) { return a < b ? a : b; }

/// 2^x for -126 <= x <= 0; smaller x give 2^-126; the NaN of (infinity - infinity) gives NaN. The polynomial is the
/// least-squares fit of 2^f on [-1/2, 1/2] by relative error at Chebyshev nodes: at most 2e-9.
inline Vector exp2_of(Vector x) {
  x = larger(Vector{} - 126.0F, x);      // in this order NaN stays
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

using Lanes = std::make_index_sequence<kLanes>;

/// A sum over this of x is zero or, if any x is NaN or infinite, NaN.
template <typename T>
inline T nonfinite(T x) {
  return x * 0.0F;
}

template <typename T>
inline float nonfinite(const T* x, std::size_t n) {
  float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
  for (std::size_t i = 0; i < n; ++i) sum += nonfinite(widen(x[i]));
  return sum;
}

/// v with lanes exchanged that are Distance apart.
template <std::size_t Distance, std::size_t... Lane>
inline Vector exchanged(Vector v, std::index_sequence<Lane...>) {
  return __builtin_shufflevector(v, v, (Lane ^ Distance)...);
}

template <std::size_t Distance, typename Combine>
inline float reduce(Vector v, Combine combine) {
  if constexpr (Distance == 0) {
    return v[0];
  } else {
    return reduce<Distance / 2>(combine(v, exchanged<Distance>(v, Lanes())), combine);
  }
}

inline float sum_of(Vector v) {
  return reduce<kLanes / 2>(v, [](Vector a, Vector b) { return a + b; });
}

inline float max_of(Vector v) { return reduce<kLanes / 2>(v, larger); }
inline float min_of(Vector v) { return reduce<kLanes / 2>(v, smaller); }

/// Exchanges the right one of two neighbouring blocks of Distance lanes of a with the left one of b.
template <std::size_t Distance, std::size_t... Lane>
inline void exchange_blocks(Vector& a, Vector& b, std::index_sequence<Lane...>) {
  const Vector left = __builtin_shufflevector(a, b, ((Lane & Distance) != 0 ? kLanes + Lane - Distance : Lane)...);
  b = __builtin_shufflevector(a, b, ((Lane & Distance) != 0 ? kLanes + Lane : Lane + Distance)...);
  a = left;
}

/// Transposes blocks of 2 Distance rows and lanes: halves first, then within them.
template <std::size_t Distance>
inline void transpose_blocks(Vector (&rows)[kLanes]) {
  for (std::size_t r = 0; r < kLanes; ++r) {
    if ((r & Distance) == 0) exchange_blocks<Distance>(rows[r], rows[r + Distance], Lanes());
  }
  if constexpr (Distance > 1) transpose_blocks<Distance / 2>(rows);
}

inline void transpose(Vector (&rows)[kLanes]) { transpose_blocks<kLanes / 2>(rows); }

/// Takes a step of a function for N vectors before the next step: each waits for the one before it, and a CPU does not
/// look far enough ahead to find the next vector's by itself.
template <std::size_t N, typename Step>
inline void interleaved(const Step& step) {
#pragma GCC unroll 8
  for (std::size_t i = 0; i < N; ++i) step(i);
}

/// Polynomials of x, by Horner's rule; the highest power's coefficient first.
template <std::size_t N, std::size_t Terms>
inline void evaluate(const float (&coefficients)[Terms], const Vector (&x)[N], Vector (&y)[N]) {
  interleaved<N>([&](std::size_t i) { y[i] = Vector{} + coefficients[0]; });
#pragma GCC unroll 8
  for (std::size_t term = 1; term < Terms; ++term) {
    interleaved<N>([&](std::size_t i) { y[i] = y[i] * x[i] + coefficients[term]; });
  }
}

/// x Phi(x), Phi the normal distribution's. Phi(x) - 1/2 is x times a rational function of x^2, fitted to 6e-9 on
/// [-5.4, 5.4] by weighted least squares (Lawson's algorithm); farther out Phi is 0 or 1 within 4e-8.
template <std::size_t N>
inline void gelu(Vector (&x)[N]) {
  constexpr float kFar = 5.4F;
  constexpr float kNumerator[] = {2.3386867553654156e-8F, 6.359981853165664e-6F, 1.6431858239229769e-4F,
                                  4.650832619518042e-3F,  3.33719402551651e-2F,  3.98942232131958e-1F};
  constexpr float kDenominator[] = {1.2165920679763076e-6F, 7.239909609779716e-5F,  1.8589642131701112e-3F,
                                    2.8378520160913467e-2F, 2.5031715631484985e-1F, 1.0F};
  Vector clamped[N];
  Vector square[N];
  Vector numerator[N];
  Vector denominator[N];
  interleaved<N>([&](std::size_t i) { clamped[i] = larger(x[i], Vector{} - kFar); });
  interleaved<N>([&](std::size_t i) { clamped[i] = smaller(clamped[i], Vector{} + kFar); });
  interleaved<N>([&](std::size_t i) { square[i] = clamped[i] * clamped[i]; });
  evaluate(kNumerator, square, numerator);
  evaluate(kDenominator, square, denominator);
  interleaved<N>([&](std::size_t i) { x[i] *= clamped[i] * numerator[i] / denominator[i] + 0.5F; });
}

template <std::size_t N>
inline void activate(Activation activation, Vector (&x)[N]) {
  if (activation == Activation::relu) interleaved<N>([&](std::size_t i) { x[i] = larger(Vector{}, x[i]); });
  if (activation == Activation::gelu) gelu(x);
}

}  // namespace
}  // namespace REVIEWRATE_KERNELS
}  // namespace reviewrate
