// SHA-256 (FIPS 180-4), since phones offer no library for it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace dp {

/// A digest that is fed piece by piece.
class Sha256 {
 public:
  void update(std::span<const std::uint8_t> data);

  /// The digest of all that was given, in hex; nothing may be given afterwards.
  std::string hex();

 private:
  static constexpr std::size_t kBlock = 64;

  void compress(const std::uint8_t* block);

  std::array<std::uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::uint8_t, kBlock> pending_{};
  std::size_t held_ = 0;
  std::uint64_t bytes_ = 0;
};

/// The digest of a file, in hex; throws Error where it cannot be read.
std::string file_sha256(const std::filesystem::path& file);

}  // namespace dp
