// Every set of kernels that this CPU can run, beside the same formulas in double.
#include "../../src/model/kernels.h"

#include <algorithm>
#include <climits>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "catch.h"

using namespace reviewrate;

namespace {

std::vector<float> random_numbers(std::size_t n, unsigned seed, float range = 2) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-range, range);
  std::vector<float> numbers(n);
  for (float& x : numbers) x = uniform(generator);
  return numbers;
}

float widen(float x) { return x; }

float widen(Bf16 x) {
  const std::uint32_t bits = std::uint32_t{x.bits} << 16;
  float out = 0;
  std::memcpy(&out, &bits, sizeof out);
  return out;
}

double widen(Half x) {
  const int exponent = x.bits >> 10 & 31;
  const int fraction = x.bits & 1023;
  const double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return (x.bits & 0x8000) != 0 ? -magnitude : magnitude;
}

/// Of both signs, up to 1.
std::vector<Half> random_halves(std::size_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<Half> numbers(n);
  for (Half& x : numbers) {
    const auto bits = generator();
    x.bits = static_cast<std::uint16_t>((bits & 0x83FFU) | (11U + (bits >> 10 & 3U)) << 10);
  }
  return numbers;
}

/// A quantized weight.
struct Int8Weight {
  std::vector<std::int8_t> q;
  std::vector<float> scales;
  std::vector<float> row_sums;
};

Int8Weight quantized(const Kernels& kernels, const std::vector<Half>& weight, std::size_t out, std::size_t in) {
  Int8Weight w = {std::vector<std::int8_t>(out * in), std::vector<float>(out), std::vector<float>(out)};
  kernels.quantize_weight(weight.data(), out, in, w.q.data(), w.scales.data(), w.row_sums.data());
  return w;
}

/// Of a product.
struct Matrix {
  std::size_t rows;
  std::size_t in;
  std::size_t out;
};

/// The upper half, cut off: which bf16 is beside the point.
std::vector<Bf16> to_bf16(const std::vector<float>& numbers) {
  std::vector<Bf16> out;
  for (const float x : numbers) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &x, sizeof bits);
    out.push_back({static_cast<std::uint16_t>(bits >> 16)});
  }
  return out;
}

std::vector<float> widened(const std::vector<Bf16>& numbers) {
  std::vector<float> out;
  for (const Bf16 x : numbers) out.push_back(widen(x));
  return out;
}

template <typename T>
std::vector<const T*> rows_of(const std::vector<T>& numbers, std::size_t columns, std::size_t offset) {
  std::vector<const T*> rows;
  for (std::size_t i = 0; i < numbers.size(); i += columns) rows.push_back(numbers.data() + i + offset);
  return rows;
}

struct Shape {
  std::size_t queries;
  std::size_t keys;
  std::size_t heads;
  std::size_t size;
};

/// What attention gives: the context [queries, heads * size], and what each key receives [keys].
template <typename T>
struct Attended {
  std::vector<T> context;
  std::vector<T> received;
};

/// Of rows of query, key and value [keys, 3, heads * size].
Attended<double> reference_attended(const std::vector<float>& qkv, const Shape& s) {
  const std::size_t width = s.heads * s.size;
  std::vector<double> out(s.queries * width);
  std::vector<double> received(s.keys);
  for (std::size_t h = 0; h < s.heads; ++h) {
    for (std::size_t i = 0; i < s.queries; ++i) {
      std::vector<double> weights;
      for (std::size_t j = 0; j < s.keys; ++j) {
        double score = 0;
        for (std::size_t c = 0; c < s.size; ++c) {
          score += double{qkv[i * 3 * width + h * s.size + c]} * double{qkv[j * 3 * width + width + h * s.size + c]};
        }
        weights.push_back(score / std::sqrt(static_cast<double>(s.size)));
      }
      const double max = *std::max_element(weights.begin(), weights.end());
      double sum = 0;
      for (double& w : weights) sum += w = std::exp(w - max);
      for (std::size_t j = 0; j < s.keys; ++j) received[j] += weights[j] / sum;
      for (std::size_t c = 0; c < s.size; ++c) {
        double value = 0;
        for (std::size_t j = 0; j < s.keys; ++j) {
          value += weights[j] / sum * double{qkv[j * 3 * width + 2 * width + h * s.size + c]};
        }
        out[i * width + h * s.size + c] = value;
      }
    }
  }
  return {out, received};
}

std::vector<double> reference_attention(const std::vector<float>& qkv, const Shape& s) {
  return reference_attended(qkv, s).context;
}

template <typename T>
using AttentionKernel = void (*)(const Attention<T>&);

/// Writes what keys receive to `received`, unless it is null.
template <typename T>
std::vector<T> attention(const Kernels& kernels, AttentionKernel<T> kernel, const std::vector<T>& qkv, const Shape& s,
                         std::vector<float>* received = nullptr) {
  const std::size_t width = s.heads * s.size;
  const auto queries = rows_of(qkv, 3 * width, 0);
  const auto keys = rows_of(qkv, 3 * width, width);
  const std::size_t needed = kernels.attention_scratch(s.keys, s.size);
  std::vector<float> scratch(needed + 64, 12345.0F);
  std::vector<T> out(s.queries * width);
  if (received != nullptr) received->assign(s.keys + 1, 12345.0F);
  kernel({queries.data(), s.queries, keys.data(), s.keys, s.heads, s.size, scratch.data(), out.data(),
          received == nullptr ? nullptr : received->data()});
  if (received != nullptr) {
    CHECK(received->back() == 12345.0F);
    received->pop_back();
  }
  CHECK(std::all_of(scratch.begin() + static_cast<std::ptrdiff_t>(needed), scratch.end(),
                    [](float x) { return x == 12345.0F; }));  // it stays within its scratch memory
  return out;
}

const std::vector<Shape> kShapes = {{1, 1, 1, 4},    {1, 37, 3, 8},     {2, 2, 12, 32},   {5, 5, 2, 20},
                                    {15, 15, 4, 16}, {16, 16, 2, 64},   {17, 17, 12, 32}, {63, 63, 2, 32},
                                    {97, 97, 3, 64}, {130, 130, 2, 33}, {512, 512, 2, 32}};

}  // namespace

// Hidden, as it wants to be told: tests/python/test_all_cpus.py runs it here, scripts/all_cpus.py on other CPUs.
TEST_CASE("the sets that can run are those that the caller expects, in this order", "[.][sets]") {
  const char* const expected = std::getenv("REVIEWRATE_EXPECTED_SETS");
  REQUIRE(expected != nullptr);
  std::string names;
  for (const Kernels* kernels : supported_kernels()) names += (names.empty() ? "" : " ") + std::string(kernels->name);
  CHECK(names == expected);
}

TEST_CASE("int8 is fast in each set that has instructions for it") {
  for (const Kernels* kernels : supported_kernels()) {
    const std::string name = kernels->name;
    INFO(name);
    CHECK(kernels->int8_is_fast == (name != "portable" && name != "neon"));
  }
}

TEST_CASE("attention agrees with its formula for every width of vectors") {
  for (const Kernels* kernels : supported_kernels()) {
    for (const Shape& s : kShapes) {
      INFO(kernels->name << ": " << s.queries << " queries, " << s.keys << " keys, " << s.heads << " x " << s.size);
      const std::vector<float> qkv = random_numbers(s.keys * 3 * s.heads * s.size, 1);
      const std::vector<double> expected = reference_attention(qkv, s);
      const std::vector<float> got = attention(*kernels, kernels->attend_fp32, qkv, s);
      const std::vector<Bf16> qkv_bf16 = to_bf16(qkv);
      const std::vector<double> expected_bf16 = reference_attention(widened(qkv_bf16), s);
      const std::vector<Bf16> got_bf16 = attention(*kernels, kernels->attend_bf16, qkv_bf16, s);
      const std::vector<float> got_rounded = attention(*kernels, kernels->attend_rounded, qkv, s);
      double worst = 0;
      double worst_bf16 = 0;
      double worst_rounded = 0;
      for (std::size_t i = 0; i < expected.size(); ++i) {
        worst = std::max(worst, std::abs(double{got[i]} - expected[i]));
        worst_bf16 = std::max(worst_bf16, std::abs(double{widen(got_bf16[i])} - expected_bf16[i]));
        worst_rounded = std::max(worst_rounded, std::abs(double{got_rounded[i]} - expected[i]));
      }
      CHECK(worst < 3e-6);
      CHECK(worst_bf16 < 2.0 / 256);  // half a unit in the last of bf16's 8 bits, of values below 2, and a little
      CHECK(worst_rounded < 4.0 / 256);
    }
  }
}

TEST_CASE("what a key receives is the sum of its probabilities over queries and heads") {
  for (const Kernels* kernels : supported_kernels()) {
    for (const Shape& s : kShapes) {
      INFO(kernels->name << ": " << s.queries << " queries, " << s.keys << " keys, " << s.heads << " x " << s.size);
      const std::vector<float> qkv = random_numbers(s.keys * 3 * s.heads * s.size, 1);
      const std::vector<Bf16> qkv_bf16 = to_bf16(qkv);
      const std::vector<double> expected = reference_attended(qkv, s).received;
      const std::vector<double> expected_bf16 = reference_attended(widened(qkv_bf16), s).received;
      std::vector<float> received;
      std::vector<float> of_bf16;
      std::vector<float> rounded;
      const std::vector<float> context = attention(*kernels, kernels->attend_fp32, qkv, s, &received);
      const std::vector<Bf16> context_bf16 = attention(*kernels, kernels->attend_bf16, qkv_bf16, s, &of_bf16);
      attention(*kernels, kernels->attend_rounded, qkv, s, &rounded);
      for (std::size_t j = 0; j < s.keys; ++j) {
        CHECK(received[j] == Approx(expected[j]).epsilon(2e-6));
        CHECK(of_bf16[j] == Approx(expected_bf16[j]).epsilon(2e-6));
        CHECK(rounded[j] == Approx(expected[j]).epsilon(4.0 / 256));
      }
      // Nothing else changes by its being asked for.
      CHECK(context == attention(*kernels, kernels->attend_fp32, qkv, s));
      CHECK(widened(context_bf16) == widened(attention(*kernels, kernels->attend_bf16, qkv_bf16, s)));
    }
  }
}

TEST_CASE("attention survives scores that are far apart or far below zero") {
  const Shape s = {9, 9, 1, 16};
  for (const float range : {30.0F, 300.0F}) {
    std::vector<float> qkv = random_numbers(s.keys * 3 * s.size, 2, range);
    for (std::size_t i = 0; i < qkv.size(); i += 3 * s.size) {
      for (std::size_t c = 0; c < s.size; ++c) {  // keys against queries: every score is below zero
        qkv[i + c] = std::abs(qkv[i + c]);
        qkv[i + s.size + c] = -std::abs(qkv[i + s.size + c]);
      }
    }
    const std::vector<double> expected = reference_attention(qkv, s);
    for (const Kernels* kernels : supported_kernels()) {
      INFO(kernels->name << ", up to " << range);
      const std::vector<float> got = attention(*kernels, kernels->attend_fp32, qkv, s);
      for (std::size_t i = 0; i < expected.size(); ++i) CHECK(got[i] == Approx(expected[i]).margin(2e-3 * range));
    }
  }
}

TEST_CASE("a window's attention is the same to the last bit wherever its rows lie") {
  const Shape s = {33, 33, 2, 32};
  const std::vector<float> qkv = random_numbers(s.keys * 3 * 64, 3);
  std::vector<float> shifted(7, 0.0F);
  shifted.insert(shifted.end(), qkv.begin(), qkv.end());
  for (const Kernels* kernels : supported_kernels()) {
    std::vector<const float*> queries;
    std::vector<const float*> keys;
    for (std::size_t i = 0; i < s.keys; ++i) {
      queries.push_back(shifted.data() + 7 + i * 192);
      keys.push_back(queries.back() + 64);
    }
    std::vector<float> scratch(kernels->attention_scratch(s.keys, s.size));
    std::vector<float> out(s.queries * 64);
    kernels->attend_fp32({queries.data(), s.queries, keys.data(), s.keys, 2, 32, scratch.data(), out.data()});
    CHECK(out == attention(*kernels, kernels->attend_fp32, qkv, s));
  }
}

TEST_CASE("products agree with their formula, for rows and columns that do not fill tiles and panels") {
  const std::vector<Matrix> sizes = {{8, 1, 2},    {8, 16, 16},   {9, 20, 33},   {13, 7, 49},
                                     {16, 65, 95}, {23, 128, 48}, {48, 33, 144}, {50, 384, 31}};
  for (const Kernels* kernels : supported_kernels()) {
    for (const auto& [rows, in, out] : sizes) {
      INFO(kernels->name << ": " << rows << " x " << in << " x " << out);
      const std::vector<float> x = random_numbers(rows * in, 11);
      const std::vector<Half> weight = random_halves(out * in, 12);
      const std::vector<float> bias = random_numbers(out, 13);
      std::vector<Half> packed(kernels->packed_weight_size(out, in));
      kernels->pack_weight(weight.data(), out, in, packed.data());
      std::vector<float> scratch(kernels->product_scratch(in));
      for (const Activation activation : {Activation::none, Activation::relu, Activation::gelu}) {
        std::vector<float> y(rows * out + 1, 12345.0F);
        kernels->multiply({x.data(), rows, in, out, packed.data(), bias.data(), activation, scratch.data(), y.data()});
        CHECK(y.back() == 12345.0F);
        double worst = 0;
        for (std::size_t i = 0; i < rows * out; ++i) {
          double sum = double{bias[i % out]};
          for (std::size_t k = 0; k < in; ++k) sum += double{x[i / out * in + k]} * widen(weight[i % out * in + k]);
          if (activation == Activation::relu) sum = std::max(sum, 0.0);
          if (activation == Activation::gelu) sum *= 0.5 * std::erfc(-sum / std::sqrt(2.0));
          worst = std::max(worst, std::abs(double{y[i]} - sum));
        }
        CHECK(worst < 5e-5);
      }
    }
  }
}

TEST_CASE("fp16 weights are widened exactly, whatever they are") {
  for (const Kernels* kernels : supported_kernels()) {
    INFO(kernels->name);
    for (unsigned begin = 0; begin < 0x10000; begin += 64) {
      std::vector<Half> weight;  // [64, 1]
      for (unsigned bits = begin; bits < begin + 64; ++bits) weight.push_back({static_cast<std::uint16_t>(bits)});
      if ((begin & 0x7C00) == 0x7C00) continue;  // infinite or not a number
      std::vector<Half> packed(kernels->packed_weight_size(64, 1));
      kernels->pack_weight(weight.data(), 64, 1, packed.data());
      const std::vector<float> ones(kLeastRows, 1.0F);
      const std::vector<float> zeros(64, 0.0F);
      std::vector<float> scratch(kernels->product_scratch(1));
      std::vector<float> y(kLeastRows * 64);
      kernels->multiply(
          {ones.data(), kLeastRows, 1, 64, packed.data(), zeros.data(), Activation::none, scratch.data(), y.data()});
      for (std::size_t i = 0; i < 64; ++i) CHECK(double{y[i]} == widen(weight[i]));
    }
  }
}

TEST_CASE("a row's product is the same to the last bit whatever its position and its neighbours") {
  constexpr std::size_t kIn = 96;
  constexpr std::size_t kOut = 80;
  const std::vector<float> x = random_numbers(61 * kIn, 14);
  const std::vector<Half> weight = random_halves(kOut * kIn, 15);
  const std::vector<float> bias = random_numbers(kOut, 16);
  for (const Kernels* kernels : supported_kernels()) {
    INFO(kernels->name);
    std::vector<Half> packed(kernels->packed_weight_size(kOut, kIn));
    kernels->pack_weight(weight.data(), kOut, kIn, packed.data());
    std::vector<float> scratch(kernels->product_scratch(kIn));
    const auto rows = [&](std::size_t first, std::size_t count) {
      std::vector<float> y(count * kOut);
      kernels->multiply({x.data() + first * kIn, count, kIn, kOut, packed.data(), bias.data(), Activation::gelu,
                         scratch.data(), y.data()});
      return y;
    };
    const std::vector<float> all = rows(0, 61);
    for (const std::size_t first : {1U, 7U, 40U, 53U}) {
      const std::vector<float> some = rows(first, 8);
      CHECK(std::equal(some.begin(), some.end(), all.begin() + static_cast<std::ptrdiff_t>(first * kOut)));
    }
  }
}

TEST_CASE("8-bit products are exact, also where all quantized values are as large as can be") {
  for (const Kernels* kernels : supported_kernels()) {
    for (const auto& [rows, in, out] : {Matrix{8, 16, 16}, Matrix{9, 77, 50}, Matrix{17, 384, 95}, Matrix{30, 65, 1}}) {
      for (const bool extreme : {false, true}) {
        INFO(kernels->name << ": " << rows << " x " << in << " x " << out << (extreme ? ", extreme" : ""));
        std::vector<Half> weight = random_halves(out * in, 17);
        if (extreme) {  // rows of nothing but the largest value, of one sign or changing
          for (std::size_t i = 0; i < weight.size(); ++i) {
            weight[i] = {
                static_cast<std::uint16_t>(i / in % 3 == 0 || (i / in % 3 == 1 && i % 2 == 0) ? 0x4000 : 0xC000)};
          }
        }
        const Int8Weight weights = quantized(*kernels, weight, out, in);
        const std::size_t depth = int8_depth(in);
        std::vector<std::int8_t> packed(kernels->packed_weight_size(out, depth));
        kernels->pack_int8_weight(weights.q.data(), out, in, packed.data());
        std::vector<std::uint8_t> q(rows * depth, 0);
        std::mt19937 generator(18);
        for (std::size_t i = 0; i < q.size(); ++i) {
          const auto most = static_cast<unsigned>(kernels->max_quantized);
          if (i % depth < in) q[i] = static_cast<std::uint8_t>(extreme ? most : generator() % (most + 1));
        }
        const std::vector<RowQuantization> quantization(rows, {0.5F, -3});
        const std::vector<float> bias = random_numbers(out, 19);
        std::vector<float> y(rows * out + 1, 12345.0F);
        kernels->multiply_int8({q.data(), quantization.data(), rows, in, out, packed.data(), weights.scales.data(),
                                weights.row_sums.data(), bias.data(), Activation::none, y.data()});
        CHECK(y.back() == 12345.0F);
        for (std::size_t i = 0; i < rows * out; ++i) {
          int product = 0;
          for (std::size_t k = 0; k < in; ++k) product += q[i / out * depth + k] * weights.q[i % out * in + k];
          const double exact = 0.5 * double{weights.scales[i % out]} * product - 3 * double{weights.row_sums[i % out]} +
                               double{bias[i % out]};
          CHECK(y[i] == Approx(exact).epsilon(1e-5).margin(1e-4));
        }
      }
    }
  }
}

TEST_CASE("a quantized weight comes back within half a step, and sums of eight products stay within 16 bits") {
  constexpr std::size_t kOut = 60;
  constexpr std::size_t kIn = 77;
  const std::vector<Half> weight = random_halves(kOut * kIn, 20);
  for (const Kernels* kernels : supported_kernels()) {
    INFO(kernels->name);
    const Int8Weight w = quantized(*kernels, weight, kOut, kIn);
    for (std::size_t r = 0; r < kOut; ++r) {
      int sum = 0;
      int largest = 0;
      for (std::size_t k = 0; k < kIn; ++k) {
        const int value = w.q[r * kIn + k];
        CHECK(double{w.scales[r]} * value == Approx(widen(weight[r * kIn + k])).margin(0.501 * double{w.scales[r]}));
        sum += value;
        largest = std::max(largest, std::abs(value));
      }
      CHECK(w.row_sums[r] == Approx(w.scales[r] * static_cast<float>(sum)));
      CHECK(largest <= 127);
      if (kernels->max_quantized == 255) {
        CHECK(largest == 127);
        continue;
      }
      for (std::size_t begin = 0; begin < kIn; begin += 16) {
        for (const std::size_t pair : {0U, 2U}) {
          int above = 0;
          int below = 0;
          for (std::size_t k = begin; k < std::min(begin + 16, kIn); ++k) {
            if (k % 4 / 2 * 2 == pair) (w.q[r * kIn + k] > 0 ? above : below) += w.q[r * kIn + k];
          }
          CHECK(above * kernels->max_quantized <= SHRT_MAX);
          CHECK(below * kernels->max_quantized >= SHRT_MIN);
        }
      }
    }
  }
}

TEST_CASE("add_norm agrees with its formula, in place too") {
  for (const Kernels* kernels : supported_kernels()) {
    for (const std::size_t columns : {1U, 7U, 32U, 384U, 770U}) {
      INFO(kernels->name << ", " << columns << " columns");
      constexpr std::size_t kRows = 3;
      std::vector<float> x = random_numbers(kRows * columns, 4, 5);
      const std::vector<float> y = random_numbers(kRows * columns, 5);
      const std::vector<float> weight = random_numbers(columns, 6);
      const std::vector<float> bias = random_numbers(columns, 7);
      std::vector<double> expected;
      for (std::size_t r = 0; r < kRows; ++r) {
        double mean = 0;
        double variance = 0;
        const auto sum = [&](std::size_t c) { return double{x[r * columns + c]} + double{y[r * columns + c]}; };
        for (std::size_t c = 0; c < columns; ++c) mean += sum(c) / static_cast<double>(columns);
        for (std::size_t c = 0; c < columns; ++c) variance += std::pow(sum(c) - mean, 2) / static_cast<double>(columns);
        for (std::size_t c = 0; c < columns; ++c) {
          expected.push_back((sum(c) - mean) / std::sqrt(variance + 1e-12) * double{weight[c]} + double{bias[c]});
        }
      }
      const std::vector<Bf16> bf16_x = to_bf16(x);
      const std::vector<Bf16> bf16_y = to_bf16(y);
      std::vector<float> wide(x.size());
      kernels->add_norm_fp32(widened(bf16_x).data(), widened(bf16_y).data(), kRows, columns, weight.data(), bias.data(),
                             1e-12F, wide.data());
      std::vector<Bf16> narrow(x.size());
      kernels->add_norm_bf16(bf16_x.data(), bf16_y.data(), kRows, columns, weight.data(), bias.data(), 1e-12F,
                             narrow.data());
      kernels->add_norm_fp32(x.data(), y.data(), kRows, columns, weight.data(), bias.data(), 1e-12F, x.data());
      for (std::size_t i = 0; i < x.size(); ++i) {
        if (columns > 1) CHECK(x[i] == Approx(expected[i]).margin(2e-5));
        CHECK(widen(narrow[i]) == Approx(wide[i]).epsilon(1.0 / 256).margin(1e-6));
      }
    }
  }
}

TEST_CASE("quantized rows come back, scaled, within half a step") {
  for (const Kernels* kernels : supported_kernels()) {
    INFO(kernels->name);
    constexpr std::size_t kRows = 3;
    constexpr std::size_t kColumns = 77;
    std::vector<float> x = random_numbers(kRows * kColumns, 8, 3);
    std::fill(x.begin(), x.begin() + kColumns, 1.5F);  // a row without a range
    const std::size_t step = int8_depth(kColumns);
    std::vector<std::uint8_t> filled(kRows * step, 99);
    std::vector<RowQuantization> quantization(kRows);
    kernels->quantize_rows(x.data(), kRows, kColumns, filled.data(), step, quantization.data());
    std::vector<std::uint8_t> q;
    for (std::size_t i = 0; i < filled.size(); ++i) {
      if (i % step < kColumns) {
        q.push_back(filled[i]);
      } else {
        CHECK(filled[i] == 0);
      }
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
      const RowQuantization row = quantization[i / kColumns];
      CHECK(q[i] <= kernels->max_quantized);
      CHECK(row.scale * static_cast<float>(q[i]) + row.zero_offset == Approx(x[i]).margin(0.501 * double{row.scale}));
    }

    // One matrix row: y = sum of q w comes back as the sum of x w, plus a bias.
    const std::vector<float> w = random_numbers(kColumns, 9);
    float sum = 0;
    for (const float each : w) sum += each;
    const float bias = 0.25F;
    std::vector<float> y;
    std::vector<double> expected;
    for (std::size_t r = 0; r < kRows; ++r) {
      double product = 0;
      double exact = double{bias};
      for (std::size_t c = 0; c < kColumns; ++c) {
        const std::size_t i = r * kColumns + c;
        product += double{w[c]} * q[i];
        exact += double{w[c]} * (double{quantization[r].scale} * q[i] + double{quantization[r].zero_offset});
      }
      y.push_back(static_cast<float>(product));
      expected.push_back(exact);
    }
    kernels->dequantize_products(y.data(), kRows, 1, quantization.data(), &sum, &bias, Activation::none);
    for (std::size_t r = 0; r < kRows; ++r) CHECK(y[r] == Approx(expected[r]).margin(1e-4));
  }
}

TEST_CASE("activations after a product agree with their formulas") {
  constexpr std::size_t kColumns = 1003;
  const std::vector<float> x = random_numbers(kColumns, 10, 8);
  const std::vector<float> zeros(kColumns, 0.0F);
  const RowQuantization unscaled = {1, 0};
  for (const Kernels* kernels : supported_kernels()) {
    INFO(kernels->name);
    std::vector<float> gelu = x;
    std::vector<float> relu = x;
    kernels->dequantize_products(gelu.data(), 1, kColumns, &unscaled, zeros.data(), zeros.data(), Activation::gelu);
    kernels->dequantize_products(relu.data(), 1, kColumns, &unscaled, zeros.data(), zeros.data(), Activation::relu);
    for (std::size_t c = 0; c < kColumns; ++c) {
      const double wide = double{x[c]};
      CHECK(gelu[c] == Approx(0.5 * wide * std::erfc(-wide / std::sqrt(2.0))).margin(2e-6));
      CHECK(relu[c] == std::max(x[c], 0.0F));
    }
  }
}

TEST_CASE("attention carries NaN and infinity of any query, key or value to the rows that they belong to") {
  const float infinity = std::numeric_limits<float>::infinity();
  const auto all_finite = [](const auto* row, std::size_t n) {
    return std::all_of(row, row + n, [](auto x) { return std::isfinite(widen(x)); });
  };
  for (const Kernels* kernels : supported_kernels()) {
    for (const Shape& s : {Shape{5, 5, 2, 8}, Shape{37, 37, 1, 20}}) {
      const std::size_t width = s.heads * s.size;
      const std::vector<float> finite = random_numbers(s.keys * 3 * width, 21);
      for (const float bad : {std::nanf(""), infinity, -infinity}) {
        for (const std::size_t part : {0U, 1U, 2U}) {  // query, key, value
          constexpr std::size_t kRow = 3;
          std::vector<float> qkv = finite;
          qkv[kRow * 3 * width + part * width + s.size / 2] = bad;
          INFO(kernels->name << ": " << bad << " in part " << part << " of " << s.keys << " rows");
          std::vector<float> received[3];
          const std::vector<float> got = attention(*kernels, kernels->attend_fp32, qkv, s, &received[0]);
          const std::vector<float> rounded = attention(*kernels, kernels->attend_rounded, qkv, s, &received[1]);
          const std::vector<Bf16> bf16 = attention(*kernels, kernels->attend_bf16, to_bf16(qkv), s, &received[2]);
          for (const std::vector<float>& each : received) {
            CHECK(std::any_of(each.begin(), each.end(), [](float x) { return std::isnan(x); }) == (part != 2));
          }
          for (std::size_t r = 0; r < s.queries; ++r) {
            const bool affected = part != 0 || r == kRow;
            CHECK(all_finite(got.data() + r * width, s.size) == !affected);
            CHECK(all_finite(rounded.data() + r * width, s.size) == !affected);
            CHECK(all_finite(bf16.data() + r * width, s.size) == !affected);
          }
        }
      }
    }
  }
}

TEST_CASE("add_norm carries NaN, infinity and an infinite variance") {
  for (const Kernels* kernels : supported_kernels()) {
    for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity(), 1e30F}) {
      for (const std::size_t columns : {7U, 64U}) {
        INFO(kernels->name << ": " << bad << ", " << columns << " columns");
        std::vector<float> x = random_numbers(columns, 22);
        const std::vector<float> zeros(columns, 0.0F);
        const std::vector<float> ones(columns, 1.0F);
        x[columns / 2] = bad;
        std::vector<float> out(columns);
        kernels->add_norm_fp32(x.data(), zeros.data(), 1, columns, ones.data(), ones.data(), 1e-12F, out.data());
        CHECK(std::none_of(out.begin(), out.end(), [](float y) { return std::isfinite(y); }));
        std::vector<Bf16> bf16(columns);
        kernels->add_norm_bf16(to_bf16(x).data(), to_bf16(zeros).data(), 1, columns, ones.data(), ones.data(), 1e-12F,
                               bf16.data());
        CHECK(std::none_of(bf16.begin(), bf16.end(), [](Bf16 y) { return std::isfinite(widen(y)); }));
      }
    }
  }
}

TEST_CASE("bf16 of NaN is NaN, whatever its bits are") {
  // Rounding adds to the bits: those of 0x7FFFFFFF would become minus zero's.
  for (const std::uint32_t bits : {0x7FFFFFFFU, 0xFFFFFFFFU, 0x7F800001U, 0xFFC00000U}) {
    float nan = 0;
    std::memcpy(&nan, &bits, sizeof nan);
    const std::vector<float> biases(20, nan);
    const std::vector<float> ones(20, 1.0F);
    const std::vector<Bf16> x = to_bf16(random_numbers(20, 26));
    for (const Kernels* kernels : supported_kernels()) {
      INFO(kernels->name << ", " << std::hex << bits);
      std::vector<Bf16> out(20);
      kernels->add_norm_bf16(x.data(), x.data(), 1, 20, ones.data(), biases.data(), 1e-12F, out.data());
      CHECK(std::all_of(out.begin(), out.end(), [](Bf16 y) { return std::isnan(widen(y)); }));
    }
  }
}

TEST_CASE("int8 products carry NaN and infinity of a row to all that is computed from it, and to no other row") {
  constexpr std::size_t kRows = 9;
  constexpr std::size_t kIn = 77;
  constexpr std::size_t kOut = 50;
  constexpr std::size_t kBadRow = 2;
  const std::size_t depth = int8_depth(kIn);
  const std::vector<Half> weight = random_halves(kOut * kIn, 23);
  const std::vector<float> bias = random_numbers(kOut, 24);
  for (const Kernels* kernels : supported_kernels()) {
    const Int8Weight w = quantized(*kernels, weight, kOut, kIn);
    std::vector<std::int8_t> packed(kernels->packed_weight_size(kOut, depth));
    kernels->pack_int8_weight(w.q.data(), kOut, kIn, packed.data());
    for (const float bad : {std::nanf(""), HUGE_VALF, -HUGE_VALF, 3e38F}) {
      for (const std::size_t column : {0U, 40U, 76U}) {
        for (const Activation activation : {Activation::none, Activation::relu, Activation::gelu}) {
          INFO(kernels->name << ": " << bad << " in column " << column);
          std::vector<float> x = random_numbers(kRows * kIn, 25);
          x[kBadRow * kIn + column] = bad;
          if (bad == 3e38F) x[kBadRow * kIn + 1] = -bad;  // finite, but its range is not
          std::vector<std::uint8_t> q(kRows * depth);
          std::vector<RowQuantization> quantization(kRows);
          kernels->quantize_rows(x.data(), kRows, kIn, q.data(), depth, quantization.data());
          std::vector<float> y(kRows * kOut);
          kernels->multiply_int8({q.data(), quantization.data(), kRows, kIn, kOut, packed.data(), w.scales.data(),
                                  w.row_sums.data(), bias.data(), activation, y.data()});
          for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y[i]) == (i / kOut == kBadRow));
        }
      }
    }
  }
}

TEST_CASE("quantized rows: ranges too small for a scale are none") {
  for (const Kernels* kernels : supported_kernels()) {
    INFO(kernels->name);
    std::vector<float> x(20, 0.0F);
    x[7] = std::numeric_limits<float>::denorm_min();
    x[8] = 1e-37F;
    std::vector<std::uint8_t> q(int8_depth(20));
    RowQuantization row = {0, 0};
    kernels->quantize_rows(x.data(), 1, 20, q.data(), int8_depth(20), &row);
    for (std::size_t i = 0; i < x.size(); ++i) {
      CHECK(row.scale * static_cast<float>(q[i]) + row.zero_offset == Approx(x[i]).margin(2e-37));
    }
  }
}
