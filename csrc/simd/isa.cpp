#include "simd/isa.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace op::simd {
namespace {

/// Whether this processor runs the code of a set; sets are ordered, so that one without the next has none above.
bool has(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::kSse4:
      return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("aes");
    case Isa::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2") &&
             __builtin_cpu_supports("bmi") && __builtin_cpu_supports("f16c") && __builtin_cpu_supports("lzcnt") &&
             __builtin_cpu_supports("popcnt");
    case Isa::kAvx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl");
    case Isa::kAvx512Vnni:
      return __builtin_cpu_supports("avx512vnni");
#elif defined(__aarch64__)
    case Isa::kNeonDot: {
#if defined(__linux__)
      constexpr unsigned long kDotProduct = 1UL << 20;  // HWCAP_ASIMDDP
      return (getauxval(AT_HWCAP) & kDotProduct) != 0;
#else
      return true;  // every 64-bit processor of Apple's since the A13
#endif
    }
#endif
    default:
      return true;  // what the platform guarantees
  }
}

std::size_t best() {
  std::size_t found = 0;
  while (found + 1 < kNames.size() && has(static_cast<Isa>(found + 1))) ++found;
  return found;
}

std::size_t find(const char* name) {
  std::size_t at = 0;
  while (at < kNames.size() && std::strcmp(kNames.at(at), name) != 0) ++at;
  return at;
}

std::size_t initial() {
  const char* wanted = std::getenv("DEPLOYPIPE_ISA");
  const std::size_t most = best();
  if (wanted == nullptr || *wanted == '\0') return most;
  const std::size_t found = find(wanted);
  if (found <= most) return found;
  std::fprintf(stderr, "deploypipe: DEPLOYPIPE_ISA=%s is not an instruction set of this processor; using %s\n", wanted,
               kNames.at(most));
  return most;
}

}  // namespace

std::atomic<std::size_t> current = initial();

}  // namespace op::simd

/// The instruction set that kernels run on.
extern "C" [[gnu::visibility("default")]] const char* deploypipe_isa() {
  return op::simd::kNames.at(op::simd::current.load());
}

/// The instruction sets of this processor, the best one last, with blanks between.
extern "C" [[gnu::visibility("default")]] const char* deploypipe_isas() {
  static const std::string names = [] {
    std::string text;
    for (std::size_t i = 0; i <= op::simd::best(); ++i)
      text += (i == 0 ? "" : " ") + std::string(op::simd::kNames.at(i));
    return text;
  }();
  return names.c_str();
}

/// Chooses an instruction set by name; returns 0, or -1 where this processor does not have it. For tests and
/// measurements: not while ops run.
extern "C" [[gnu::visibility("default")]] int deploypipe_set_isa(const char* name) {
  const std::size_t found = op::simd::find(name);
  if (found > op::simd::best()) return -1;
  op::simd::current.store(found);
  return 0;
}
