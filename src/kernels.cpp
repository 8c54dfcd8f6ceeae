// Which of the compiled kernels run here; see the header.
#include "kernels.h"

namespace reviewrate {

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

std::size_t attention_scratch(std::size_t keys, std::size_t size) {
  constexpr std::size_t kLanes = 16;  // of the widest
  constexpr std::size_t kRows = 8;    // of any
  const std::size_t columns = size + kLanes;
  return (keys + 3 * kLanes) * (size + columns + kRows) + kRows * (size + columns);
}

const std::vector<const Kernels*>& supported_kernels() {
  static const std::vector<const Kernels*> supported = [] {
    std::vector<const Kernels*> sets;
#ifdef __x86_64__
    const bool avx2_and_fma = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
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
