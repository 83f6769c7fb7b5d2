// What this processor can do at most, one thread: bytes read from a buffer, float operations, byte products.
// Built and called by bounds.py. A probe returns the work of one run; the caller takes the time.
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#define TARGET(text) __attribute__((target(text)))
// The compiler must neither fold nor drop what stands in a register.
#define KEEP(x) asm volatile("" : "+v"(x))
#define KEEP_OLD(x) asm volatile("" : "+x"(x))
#elif defined(__aarch64__)
#include <arm_neon.h>
#define KEEP(x) asm volatile("" : "+w"(x))
#endif

// Without it the registers would be an array in memory.
#define UNROLL _Pragma("GCC unroll 16")

namespace {

// Latency times throughput of a multiply-add is 8 to 10 on current processors.
constexpr int kChains = 12;
constexpr std::int64_t kSteps = 20000;

#if defined(__x86_64__)

TARGET("avx512f") double read_avx512(const char* data, std::int64_t size) {
  __m512i sum[8] = {};
  for (std::int64_t i = 0; i + 512 <= size; i += 512) {
    UNROLL for (int j = 0; j < 8; ++j) sum[j] = _mm512_or_si512(sum[j], _mm512_loadu_si512(data + i + 64 * j));
  }
  UNROLL for (__m512i& each : sum) KEEP(each);
  return static_cast<double>(size / 512 * 512);
}

TARGET("avx2") double read_avx2(const char* data, std::int64_t size) {
  __m256i sum[8] = {};
  for (std::int64_t i = 0; i + 256 <= size; i += 256) {
    UNROLL for (int j = 0; j < 8; ++j) {
      const auto* at = reinterpret_cast<const __m256i*>(data + i + 32 * j);
      sum[j] = _mm256_or_si256(sum[j], _mm256_loadu_si256(at));
    }
  }
  UNROLL for (__m256i& each : sum) KEEP_OLD(each);
  return static_cast<double>(size / 256 * 256);
}

double read_baseline(const char* data, std::int64_t size) {
  __m128i sum[8] = {};
  for (std::int64_t i = 0; i + 128 <= size; i += 128) {
    UNROLL for (int j = 0; j < 8; ++j) {
      const auto* at = reinterpret_cast<const __m128i*>(data + i + 16 * j);
      sum[j] = _mm_or_si128(sum[j], _mm_loadu_si128(at));
    }
  }
  UNROLL for (__m128i& each : sum) KEEP_OLD(each);
  return static_cast<double>(size / 128 * 128);
}

TARGET("avx512f") double multiply_avx512(std::int64_t steps) {
  __m512 sum[kChains] = {};
  __m512 factor = _mm512_set1_ps(0.5f);
  KEEP(factor);
  for (std::int64_t i = 0; i < steps; ++i) {
    UNROLL for (__m512& each : sum) each = _mm512_fmadd_ps(each, factor, factor);
    UNROLL for (__m512& each : sum) KEEP(each);
  }
  return 2.0 * 16 * kChains * static_cast<double>(steps);
}

TARGET("avx2,fma") double multiply_avx2(std::int64_t steps) {
  __m256 sum[kChains] = {};
  __m256 factor = _mm256_set1_ps(0.5f);
  KEEP_OLD(factor);
  for (std::int64_t i = 0; i < steps; ++i) {
    UNROLL for (__m256& each : sum) each = _mm256_fmadd_ps(each, factor, factor);
    UNROLL for (__m256& each : sum) KEEP_OLD(each);
  }
  return 2.0 * 8 * kChains * static_cast<double>(steps);
}

double multiply_baseline(std::int64_t steps) {
  __m128 sum[kChains] = {};
  __m128 factor = _mm_set1_ps(0.5f);
  KEEP_OLD(factor);
  for (std::int64_t i = 0; i < steps; ++i) {
    UNROLL for (__m128& each : sum) each = _mm_add_ps(_mm_mul_ps(each, factor), factor);
    UNROLL for (__m128& each : sum) KEEP_OLD(each);
  }
  return 2.0 * 4 * kChains * static_cast<double>(steps);
}

TARGET("avx512f,avx512vnni") double bytes_avx512vnni(std::int64_t steps) {
  __m512i sum[kChains] = {};
  __m512i factor = _mm512_set1_epi8(3);
  KEEP(factor);
  for (std::int64_t i = 0; i < steps; ++i) {
    UNROLL for (__m512i& each : sum) each = _mm512_dpbusd_epi32(each, factor, factor);
    UNROLL for (__m512i& each : sum) KEEP(each);
  }
  return 2.0 * 64 * kChains * static_cast<double>(steps);
}

TARGET("avx512f,avx512bw") double bytes_avx512(std::int64_t steps) {
  __m512i sum[kChains] = {};
  __m512i factor = _mm512_set1_epi8(3);
  __m512i ones = _mm512_set1_epi16(1);
  KEEP(ones);
  for (std::int64_t i = 0; i < steps; ++i) {
    UNROLL for (__m512i& each : sum) {
      KEEP(factor);
      each = _mm512_add_epi32(each, _mm512_madd_epi16(_mm512_maddubs_epi16(factor, factor), ones));
    }
    UNROLL for (__m512i& each : sum) KEEP(each);
  }
  return 2.0 * 64 * kChains * static_cast<double>(steps);
}

TARGET("avx2") double bytes_avx2(std::int64_t steps) {
  __m256i sum[kChains] = {};
  __m256i factor = _mm256_set1_epi8(3);
  __m256i ones = _mm256_set1_epi16(1);
  KEEP_OLD(ones);
  for (std::int64_t i = 0; i < steps; ++i) {
    UNROLL for (__m256i& each : sum) {
      KEEP_OLD(factor);
      each = _mm256_add_epi32(each, _mm256_madd_epi16(_mm256_maddubs_epi16(factor, factor), ones));
    }
    UNROLL for (__m256i& each : sum) KEEP_OLD(each);
  }
  return 2.0 * 32 * kChains * static_cast<double>(steps);
}

#elif defined(__aarch64__)

double read_baseline(const char* data, std::int64_t size) {
  uint8x16_t sum[8] = {};
  for (std::int64_t i = 0; i + 128 <= size; i += 128) {
    UNROLL for (int j = 0; j < 8; ++j) {
      sum[j] = vorrq_u8(sum[j], vld1q_u8(reinterpret_cast<const std::uint8_t*>(data + i + 16 * j)));
    }
  }
  UNROLL for (uint8x16_t& each : sum) KEEP(each);
  return static_cast<double>(size / 128 * 128);
}

double multiply_baseline(std::int64_t steps) {
  float32x4_t sum[kChains] = {};
  float32x4_t factor = vdupq_n_f32(0.5f);
  KEEP(factor);
  for (std::int64_t i = 0; i < steps; ++i) {
    UNROLL for (float32x4_t& each : sum) each = vfmaq_f32(each, each, factor);
    UNROLL for (float32x4_t& each : sum) KEEP(each);
  }
  return 2.0 * 4 * kChains * static_cast<double>(steps);
}

#endif

using Read = double (*)(const char* data, std::int64_t size);
using Compute = double (*)(std::int64_t steps);

double run(Compute compute, std::int64_t repeats) {
  double work = 0;
  for (std::int64_t i = 0; i < repeats; ++i) work = compute(kSteps);
  return work;
}

bool is(const char* isa, const char* name) { return std::strcmp(isa, name) == 0; }

}  // namespace

extern "C" {

/// Reads a buffer so many times with the widest loads of an instruction set; returns the bytes of one time.
double probe_read(const char* isa, const char* data, std::int64_t size, std::int64_t repeats) {
  Read read = read_baseline;
#if defined(__x86_64__)
  if (is(isa, "avx512") || is(isa, "avx512vnni")) read = read_avx512;
  if (is(isa, "avx2")) read = read_avx2;
#endif
  double bytes = 0;
  for (std::int64_t i = 0; i < repeats; ++i) bytes = read(data, size);
  return bytes;
}

/// Multiply-adds in registers, so many times; returns the float operations of one time, two for each.
double probe_multiply(const char* isa, std::int64_t repeats) {
  Compute compute = multiply_baseline;
#if defined(__x86_64__)
  if (is(isa, "avx512") || is(isa, "avx512vnni")) compute = multiply_avx512;
  if (is(isa, "avx2")) compute = multiply_avx2;
#endif
  return run(compute, repeats);
}

/// Products of bytes, summed in 32 bits, in registers, so many times; returns the operations of one time, two for
/// each, or 0 where there is no probe for the set.
double probe_bytes(const char* isa, std::int64_t repeats) {
  Compute compute = nullptr;
#if defined(__x86_64__)
  if (is(isa, "avx512vnni")) compute = bytes_avx512vnni;
  if (is(isa, "avx512")) compute = bytes_avx512;
  if (is(isa, "avx2")) compute = bytes_avx2;
#endif
  return compute == nullptr ? 0 : run(compute, repeats);
}
}
