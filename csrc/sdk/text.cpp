#include "text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace dp {
namespace {

constexpr std::array<std::pair<const char*, dp_dtype>, 7> kNames = {{{"float32", DP_FLOAT32},
                                                                     {"float64", DP_FLOAT64},
                                                                     {"int8", DP_INT8},
                                                                     {"uint8", DP_UINT8},
                                                                     {"int32", DP_INT32},
                                                                     {"int64", DP_INT64},
                                                                     {"bool", DP_BOOL}}};

/// Bytes of the UTF-8 character at the beginning, 0 where it is none or not printable.
std::size_t character(std::string_view text) {
  const auto byte = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return byte(0) >= 0x20 && byte(0) != 0x7f ? 1 : 0;
  const std::size_t size = byte(0) >= 0xf0 && byte(0) <= 0xf4 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (byte(0) == 0xe0 && byte(1) < 0xa0) || (byte(0) == 0xf0 && byte(1) < 0x90);
  const bool surrogate = byte(0) == 0xed && byte(1) >= 0xa0;
  const bool beyond = byte(0) == 0xf4 && byte(1) >= 0x90;
  return overlong || surrogate || beyond ? 0 : size;
}

}  // namespace

const char* name_of(dp_dtype dtype) {
  const auto* const found =
      std::find_if(kNames.begin(), kNames.end(), [&](auto& each) { return each.second == dtype; });
  return found == kNames.end() ? "unknown" : found->first;
}

bool parse_dtype(std::string_view name, dp_dtype& dtype) {
  const auto* const found = std::find_if(kNames.begin(), kNames.end(), [&](auto& each) { return each.first == name; });
  if (found == kNames.end()) return false;
  dtype = found->second;
  return true;
}

std::string quoted(const std::string& text) { return "'" + printable(text, text.size()) + "'"; }

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) text += (i == 0 ? "" : between) + words[i];
  return text;
}

std::vector<std::string> names_of(const std::vector<TensorInfo>& infos) {
  std::vector<std::string> names;
  names.reserve(infos.size());
  for (const TensorInfo& info : infos) names.push_back(info.name);
  return names;
}

std::string describe(dp_dtype dtype, const std::vector<std::int64_t>& shape, const char* between) {
  std::vector<std::string> sizes;
  sizes.reserve(shape.size());
  for (const std::int64_t size : shape) sizes.push_back(std::to_string(size));
  return std::string(name_of(dtype)) + "[" + joined(sizes, between) + "]";
}

std::string describe(const TensorInfo& info) {
  std::vector<std::string> sizes;
  sizes.reserve(info.axes.size());
  for (const Axis& axis : info.axes) sizes.push_back(axis.name.empty() ? std::to_string(axis.min) : axis.name);
  return info.name + " " + name_of(info.dtype) + "[" + joined(sizes, ",") + "]";
}

std::string short_number(double value) {
  std::array<char, 32> text{};  // not snprintf, which takes the decimal point of the user's language
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::general, 3);
  return {text.data(), end.ptr};
}

std::string printable(std::string_view text, std::size_t bytes) {
  std::string result;
  while (!text.empty()) {
    const std::size_t size = character(text);
    if (result.size() + std::max<std::size_t>(size, 1) > bytes) break;
    if (size == 0) {
      result += text[0] == '\n' || text[0] == '\t' ? ' ' : '?';
    } else {
      result += text.substr(0, size);
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return result;
}

}  // namespace dp
