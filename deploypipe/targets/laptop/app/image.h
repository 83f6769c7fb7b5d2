// Image files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// An image in memory: rows from the top, pixels from the left.
struct Image {
  std::vector<std::uint8_t> pixels;
  int width = 0;
  int height = 0;
  int channels = 0;  ///< 1 (gray), 3 (RGB) or 4 (RGBA)
};

/// Reads a PNG, JPEG or PGM file; throws std::runtime_error with what is wrong with it.
Image read_image(const std::string& path);

/// Makes light pixels dark and dark ones light; alpha stays.
void invert(Image& image);
