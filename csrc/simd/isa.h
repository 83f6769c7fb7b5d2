// Kernels for several instruction sets. A file `<name>_simd.cpp` is compiled once for each set, with the set's flags
// and OP_ISA naming it; it defines `Compiled<Table, Isa::OP_ISA>::table`, a struct of function pointers. At run time
// `kernels<Table>()` is the table for the best set that the processor has.
//
// Such a file must not use inline functions of the standard library: the linker keeps one copy of each for the whole
// library, and it may be the one that an older processor cannot run.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace op {
namespace [[gnu::visibility("hidden")]] simd {

#if defined(__x86_64__)
enum class Isa : std::uint8_t { kPortable, kSse4, kAvx2, kAvx512, kAvx512Vnni };
inline constexpr std::array<const char*, 5> kNames = {"portable", "sse4", "avx2", "avx512", "avx512vnni"};
#define OP_FOR_EACH_ISA(DO, ...) \
  DO(kPortable, __VA_ARGS__)     \
  DO(kSse4, __VA_ARGS__) DO(kAvx2, __VA_ARGS__) DO(kAvx512, __VA_ARGS__) DO(kAvx512Vnni, __VA_ARGS__)
#elif defined(__aarch64__)
enum class Isa : std::uint8_t { kPortable, kNeon, kNeonDot };
inline constexpr std::array<const char*, 3> kNames = {"portable", "neon", "neondot"};
#define OP_FOR_EACH_ISA(DO, ...) DO(kPortable, __VA_ARGS__) DO(kNeon, __VA_ARGS__) DO(kNeonDot, __VA_ARGS__)
#else
enum class Isa : std::uint8_t { kPortable };
inline constexpr std::array<const char*, 1> kNames = {"portable"};
#define OP_FOR_EACH_ISA(DO, ...) DO(kPortable, __VA_ARGS__)
#endif

/// What one compilation of a kernel source gives: `table`, defined in that source.
template <class Table, Isa>
struct Compiled;

/// Announces the tables of a kernel source; stands in its header, at namespace scope of op::simd.
#define OP_SIMD_TABLE_OF(isa, Table) \
  template <>                        \
  struct Compiled<Table, Isa::isa> { \
    static const Table table;        \
  };
#define OP_SIMD_TABLES(Table) OP_FOR_EACH_ISA(OP_SIMD_TABLE_OF, Table)

/// The set in use, an index of kNames. Set when the library is loaded: the best one of this processor, or the one
/// that DEPLOYPIPE_ISA names if the processor has it.
extern std::atomic<std::size_t> current;

/// The kernels of a source for the set in use.
template <class Table>
const Table& kernels() {
#define OP_ADDRESS_OF(isa, ...) &Compiled<Table, Isa::isa>::table,
  static constexpr std::array tables = {OP_FOR_EACH_ISA(OP_ADDRESS_OF, )};
#undef OP_ADDRESS_OF
  return *tables[current.load(std::memory_order_relaxed)];
}

}  // namespace simd
}  // namespace op
