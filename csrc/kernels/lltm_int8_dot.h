// Dot products of 4 bytes for each unit of a vector: what differs between the instruction sets.
//
// `codes_at` takes 4 columns of a row and repeats them for every unit; `weight_at` takes 4 columns of kLanes units;
// `dot` adds their products to the sums. A value is stored as a byte with kOffset added.
//
// Where the processor multiplies unsigned by signed bytes only and saturates pairs of products at 16 bits, the weight
// gives its sign to the code, |w| * (sign(w) * q): a pair is at most 2 * 128 * 127, so that no sum saturates.
#pragma once

#include "simd/vector.h"

namespace op::simd {
namespace {

// A vector of int32 and nothing else: with a struct around it, or with __m512i, whose elements are 64 bits wide, g++
// keeps a second copy of every sum in memory.
#if HWY_TARGET == HWY_SCALAR
using Sums = std::int32_t;
#else
using Sums [[gnu::vector_size(4 * kLanes)]] = std::int32_t;
#endif
using Raw = decltype(hn::Vec<Ints>::raw);
using Codes = Raw;

HWY_INLINE Codes codes_at(const std::uint8_t* codes) {
  std::int32_t four = 0;
  hwy::CopyBytes<4>(codes, &four);
  return hn::Set(Ints(), four).raw;
}
HWY_INLINE hn::Vec<Ints> to_vector(Sums sums) { return hn::Vec<Ints>{reinterpret_cast<Raw>(sums)}; }

#if HWY_TARGET == HWY_AVX3 && defined(__AVX512VNNI__)

constexpr std::int32_t kOffset = 128;  // unsigned codes; the offset's share is taken from the sums
using Weight = __m512i;

HWY_INLINE Weight weight_at(const std::int8_t* weight) { return _mm512_loadu_si512(weight); }
HWY_INLINE Sums dot(Sums sums, Weight weight, Codes codes) {
  return reinterpret_cast<Sums>(_mm512_dpbusd_epi32(reinterpret_cast<Raw>(sums), codes, weight));
}

#elif HWY_TARGET == HWY_AVX3

constexpr std::int32_t kOffset = 0;
struct Weight {
  __m512i size;
  __mmask64 negative;
};

HWY_INLINE Weight weight_at(const std::int8_t* weight) {
  const __m512i w = _mm512_loadu_si512(weight);
  return {_mm512_abs_epi8(w), _mm512_movepi8_mask(w)};
}
HWY_INLINE Sums dot(Sums sums, Weight weight, Codes codes) {
  const __m512i with_sign = _mm512_mask_sub_epi8(codes, weight.negative, _mm512_setzero_si512(), codes);
  const __m512i pairs = _mm512_maddubs_epi16(weight.size, with_sign);
  return sums + reinterpret_cast<Sums>(_mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}

#elif HWY_TARGET == HWY_AVX2

constexpr std::int32_t kOffset = 0;
struct Weight {
  __m256i value;
  __m256i size;
};

HWY_INLINE Weight weight_at(const std::int8_t* weight) {
  const __m256i w = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weight));
  return {w, _mm256_abs_epi8(w)};
}
HWY_INLINE Sums dot(Sums sums, Weight weight, Codes codes) {
  const __m256i pairs = _mm256_maddubs_epi16(weight.size, _mm256_sign_epi8(codes, weight.value));
  return sums + reinterpret_cast<Sums>(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

#elif HWY_TARGET == HWY_SSE4

constexpr std::int32_t kOffset = 0;
struct Weight {
  __m128i value;
  __m128i size;
};

HWY_INLINE Weight weight_at(const std::int8_t* weight) {
  const __m128i w = _mm_loadu_si128(reinterpret_cast<const __m128i*>(weight));
  return {w, _mm_abs_epi8(w)};
}
HWY_INLINE Sums dot(Sums sums, Weight weight, Codes codes) {
  const __m128i pairs = _mm_maddubs_epi16(weight.size, _mm_sign_epi8(codes, weight.value));
  return sums + reinterpret_cast<Sums>(_mm_madd_epi16(pairs, _mm_set1_epi16(1)));
}

#elif HWY_TARGET == HWY_NEON

constexpr std::int32_t kOffset = 0;
using Weight = int8x16_t;

HWY_INLINE Weight weight_at(const std::int8_t* weight) { return vld1q_s8(weight); }
HWY_INLINE Sums dot(Sums sums, Weight weight, Codes codes) {
  const int8x16_t q = vreinterpretq_s8_s32(codes);
#if defined(__ARM_FEATURE_DOTPROD)
  return reinterpret_cast<Sums>(vdotq_s32(reinterpret_cast<Raw>(sums), weight, q));
#else
  const int16x8_t low = vmull_s8(vget_low_s8(weight), vget_low_s8(q));
  return reinterpret_cast<Sums>(vpadalq_s16(reinterpret_cast<Raw>(sums), vpaddq_s16(low, vmull_high_s8(weight, q))));
#endif
}

#else

constexpr std::int32_t kOffset = 0;
using Weight = const std::int8_t*;

HWY_INLINE Weight weight_at(const std::int8_t* weight) { return weight; }
HWY_INLINE Sums dot(Sums sums, Weight weight, Codes codes) {
  const auto code = [codes](int byte) { return static_cast<std::int8_t>(codes >> (8 * byte)); };
  return sums + weight[0] * code(0) + weight[1] * code(1) + weight[2] * code(2) + weight[3] * code(3);
}

#endif

/// What sums begin with: the products of the offset, taken away.
HWY_INLINE Sums first_sums(const std::int32_t* weight_sums) {
  if constexpr (kOffset == 0) return Sums{};
  return reinterpret_cast<Sums>(hn::LoadU(Ints(), weight_sums).raw) * -kOffset;
}

}  // namespace
}  // namespace op::simd
