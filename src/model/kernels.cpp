// Which of the compiled kernels run here; see the header.
#include "kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace reviewrate {
namespace {

#ifdef __x86_64__
/// A bit of CPUID, for what not every compiler's __builtin_cpu_supports() knows.
bool has_feature(unsigned leaf, unsigned subleaf, unsigned reg, unsigned bit) {
  unsigned registers[4] = {};  // EAX, EBX, ECX, EDX
  return __get_cpuid_count(leaf, subleaf, &registers[0], &registers[1], &registers[2], &registers[3]) != 0 &&
         (registers[reg] >> bit & 1) != 0;
}
#endif

}  // namespace

// Each is src/model/vector_kernels.cpp, compiled for one width of vectors.
#if defined(__aarch64__)
namespace neon {
extern const Kernels kernels;
}
namespace neondotprod {
extern const Kernels kernels;
}
namespace neoni8mm {
extern const Kernels kernels;
}
#else
namespace portable {
extern const Kernels kernels;
}
#endif
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

const std::vector<const Kernels*>& supported_kernels() {
  static const std::vector<const Kernels*> supported = [] {
    std::vector<const Kernels*> sets;
#if defined(__aarch64__)
    const bool has_dotprod = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
    if (has_dotprod && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0) sets.push_back(&neoni8mm::kernels);
    if (has_dotprod) sets.push_back(&neondotprod::kernels);
    sets.push_back(&neon::kernels);
#else
#if defined(__x86_64__)
    const bool has_f16c = has_feature(1, 0, 2, 29);
    const bool has_avx2 = has_f16c && __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
    const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") != 0 &&
                            __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
                            __builtin_cpu_supports("avx512vl") != 0;
    const bool has_avx512vnni = has_avx512 && __builtin_cpu_supports("avx512vnni") != 0;
    if (has_avx512vnni && __builtin_cpu_supports("avx512bf16") != 0) sets.push_back(&avx512bf16::kernels);
    if (has_avx512vnni) sets.push_back(&avx512vnni::kernels);
    if (has_avx512) sets.push_back(&avx512::kernels);
    if (has_avx2 && has_feature(7, 1, 0, 4)) sets.push_back(&avxvnni::kernels);
    if (has_avx2) sets.push_back(&avx2::kernels);
#endif
    sets.push_back(&portable::kernels);
#endif
    return sets;
  }();
  return supported;
}

bool has_amx_int8() {
#ifdef __x86_64__
  return has_feature(7, 0, 3, 25);
#else
  return false;
#endif
}

}  // namespace reviewrate
