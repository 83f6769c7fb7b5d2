// The codes of cws_codes: a feature has 48 bytes for each tile of 16 hashes, 16 codes each of r, beta and log c.
//   r = 2^(e - 12) * (1 + (m + 0.5) / 16) with e = code >> 4, m = code & 15
//   beta = (code + 0.5) / 256
//   log c = -8 + (code + 0.5) * 12 / 256
// Each of these is exact in float32; ri = 1 / r and s = log c + r * (beta - 1) are rounded as everywhere.
#pragma once

#include <bit>
#include <cstdint>

namespace op::cws {

constexpr float decode_r(std::uint8_t code) {
  constexpr std::uint32_t kBase = ((127 - 12) << 23) + (1 << 18);  // the bits of r for code 0
  return std::bit_cast<float>((std::uint32_t{code} << 19) + kBase);
}

constexpr float decode_beta(std::uint8_t code) { return (static_cast<float>(code) + 0.5f) / 256.0f; }

constexpr float decode_log_c(std::uint8_t code) { return (static_cast<float>(code) + 0.5f) * (12.0f / 256.0f) - 8.0f; }

}  // namespace op::cws
