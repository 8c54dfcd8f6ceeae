// Which of the compiled kernels run here; see the header.
#include "kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace reviewrate {
namespace {

constexpr std::size_t kLanes = 16;  // of the widest vectors
constexpr std::size_t kPanel = 48;  // columns of the widest panel

constexpr std::size_t round_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

float widen(Half x) {
  const std::uint32_t magnitude = (x.bits & 0x7FFFU) << 13;
  float value = 0;
  std::memcpy(&value, &magnitude, sizeof value);
  value *= 0x1p112F;  // the exponents' biases are so far apart; exact for subnormal numbers, too
  return (x.bits & 0x8000U) != 0 ? -value : value;
}

/// The least scale with which no eight products of Int8Product leave 16 bits: those of the columns k, k + 1, k + 4,
/// k + 5 up to k + 13. The level of a weight may be rounded by half a level away from zero.
float short_scale(const float* row, std::size_t in) {
  constexpr float kRoom = 32767.0F / kShortLevels - 8 * 0.5F;
  float most = 0;
  for (std::size_t begin = 0; begin < in; begin += 16) {
    for (std::size_t half = begin; half < begin + 4; half += 2) {
      float above = 0;
      float below = 0;
      for (std::size_t k = half; k < std::min(half + 16, in); k += 4) {
        for (std::size_t i = k; i < std::min(k + 2, in); ++i) (row[i] > 0 ? above : below) += row[i];
      }
      most = std::max({most, above, -below});
    }
  }
  return most / kRoom;
}

}  // namespace

// Each is src/vector_kernels.cpp, compiled for one width of vectors.
namespace portable {
extern const Kernels kernels;
}
#ifdef __x86_64__
namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}
namespace avx512bf16 {
extern const Kernels kernels;
}
#endif

std::size_t product_scratch(std::size_t in) { return in * kPanel; }

std::size_t laid_out_size(std::size_t out, std::size_t in) { return round_up(out, kLanes) * in; }

std::size_t int8_depth(std::size_t in) { return round_up(in, 16); }

Int8Weight quantize_weight(const Half* weight, std::size_t out, std::size_t in, bool short_sums) {
  Int8Weight w = {std::vector<std::int8_t>(out * in), std::vector<float>(out), std::vector<float>(out)};
  std::vector<float> row(in);
  for (std::size_t r = 0; r < out; ++r) {
    std::transform(weight + r * in, weight + (r + 1) * in, row.begin(), widen);
    float largest = 1e-12F;
    for (const float x : row) largest = std::max(largest, std::abs(x));
    const float scale = std::max(largest / 127, short_sums ? short_scale(row.data(), in) : 0);
    int sum = 0;
    for (std::size_t k = 0; k < in; ++k) {
      const auto level = static_cast<std::int8_t>(std::nearbyint(row[k] / scale));
      w.q[r * in + k] = level;
      sum += level;
    }
    w.scales[r] = scale;
    w.sums[r] = scale * static_cast<float>(sum);
  }
  return w;
}

std::size_t attention_scratch(std::size_t keys, std::size_t size) {
  constexpr std::size_t kRows = 8;  // of any
  const std::size_t columns = size + kLanes;
  return (keys + 3 * kLanes) * (size + columns + kRows) + kRows * (size + columns);
}

const std::vector<const Kernels*>& supported_kernels() {
  static const std::vector<const Kernels*> supported = [] {
    std::vector<const Kernels*> sets;
#ifdef __x86_64__
    const bool avx2_and_fma = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
                              __builtin_cpu_supports("f16c") != 0;
    if (avx2_and_fma && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
        __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0) {
      if (__builtin_cpu_supports("avx512bf16") != 0) sets.push_back(&avx512bf16::kernels);
      sets.push_back(&avx512::kernels);
    }
    if (avx2_and_fma) sets.push_back(&avx2::kernels);
#endif
    sets.push_back(&portable::kernels);
    return sets;
  }();
  return supported;
}

}  // namespace reviewrate
