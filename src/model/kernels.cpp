// Which of the compiled kernels run here; see the header.
#include "kernels.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif

namespace reviewrate {
namespace {

constexpr std::size_t kLanes = 16;  // of the widest vectors
constexpr std::size_t kPanel = 48;  // columns of the widest panel

constexpr std::size_t round_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

#ifdef __x86_64__
/// A bit of CPUID's leaf 7, for what not every compiler's __builtin_cpu_supports() knows.
bool has_feature(unsigned subleaf, unsigned reg, unsigned bit) {
  unsigned registers[4] = {};  // EAX, EBX, ECX, EDX
  return __get_cpuid_count(7, subleaf, &registers[0], &registers[1], &registers[2], &registers[3]) != 0 &&
         (registers[reg] >> bit & 1) != 0;
}
#endif

}  // namespace

// Each is src/model/vector_kernels.cpp, compiled for one width of vectors.
namespace portable {
extern const Kernels kernels;
}
#ifdef __x86_64__
namespace avx2 {
extern const Kernels kernels;
}
namespace avxvnni {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}
namespace avx512vnni {
extern const Kernels kernels;
}
namespace avx512bf16 {
extern const Kernels kernels;
}
#endif

std::size_t product_scratch(std::size_t in) { return in * kPanel; }

std::size_t laid_out_size(std::size_t out, std::size_t in) { return round_up(out, kLanes) * in; }

std::size_t int8_depth(std::size_t in) { return round_up(in, 16); }

std::size_t attention_scratch(std::size_t keys, std::size_t size) {
  constexpr std::size_t kRows = 8;  // of any
  const std::size_t columns = size + kLanes;
  return (keys + 3 * kLanes) * (size + columns + kRows) + kRows * size + kLanes * columns;
}

const std::vector<const Kernels*>& supported_kernels() {
  static const std::vector<const Kernels*> supported = [] {
    std::vector<const Kernels*> sets;
#ifdef __x86_64__
    const bool has_avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
                          __builtin_cpu_supports("f16c") != 0;
    const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") != 0 &&
                            __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
                            __builtin_cpu_supports("avx512vl") != 0;
    const bool has_avx512vnni = has_avx512 && __builtin_cpu_supports("avx512vnni") != 0;
    if (has_avx512vnni && __builtin_cpu_supports("avx512bf16") != 0) sets.push_back(&avx512bf16::kernels);
    if (has_avx512vnni) sets.push_back(&avx512vnni::kernels);
    if (has_avx512) sets.push_back(&avx512::kernels);
    if (has_avx2 && has_feature(1, 0, 4)) sets.push_back(&avxvnni::kernels);
    if (has_avx2) sets.push_back(&avx2::kernels);
#endif
    sets.push_back(&portable::kernels);
    return sets;
  }();
  return supported;
}

bool has_amx_int8() {
#ifdef __x86_64__
  return has_feature(0, 3, 25);
#else
  return false;
#endif
}

}  // namespace reviewrate
