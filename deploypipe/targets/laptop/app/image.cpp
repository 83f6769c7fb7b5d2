#include "image.h"

#include <memory>
#include <stdexcept>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNM
#define STBI_MAX_DIMENSIONS 16384
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_image.h>
#pragma GCC diagnostic pop

namespace {

std::runtime_error complaint(const std::string& path) {
  return std::runtime_error(path + " cannot be read as an image: " + stbi_failure_reason());
}

}  // namespace

Image read_image(const std::string& path) {
  Image image;
  int found = 0;
  if (stbi_info(path.c_str(), &image.width, &image.height, &found) == 0) throw complaint(path);
  // Gray with alpha becomes gray.
  image.channels = found == 2 ? 1 : found;
  const std::unique_ptr<stbi_uc, decltype(&stbi_image_free)> pixels(
      stbi_load(path.c_str(), &image.width, &image.height, &found, image.channels), stbi_image_free);
  if (!pixels) throw complaint(path);
  const auto area = static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height);
  image.pixels.assign(pixels.get(), pixels.get() + area * static_cast<std::size_t>(image.channels));
  return image;
}

void invert(Image& image) {
  const auto channels = static_cast<std::size_t>(image.channels);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    if (channels < 4 || i % channels < 3) image.pixels[i] = static_cast<std::uint8_t>(255 - image.pixels[i]);
  }
}
