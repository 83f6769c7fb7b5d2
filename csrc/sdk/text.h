// Numbers, shapes and tensors in words, as Python writes them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tensor.h"

namespace dp {

/// numpy's name: `float32`.
const char* name_of(dp_dtype dtype);

/// Returns false where there is no such dtype.
bool parse_dtype(std::string_view name, dp_dtype& dtype);

/// In quotes, without what cannot be printed.
std::string quoted(const std::string& text);

/// `a, b, c`.
std::string joined(const std::vector<std::string>& words, const char* between = ", ");

std::vector<std::string> names_of(const std::vector<TensorInfo>& infos);

/// `float32[5,10]`; with ", " between the sizes as Python prints a list.
std::string describe(dp_dtype dtype, const std::vector<std::int64_t>& shape, const char* between = ",");

/// `image float32[batch,1,8,8]`.
std::string describe(const TensorInfo& info);

/// Three digits, as `%.3g`.
std::string short_number(double value);

/// The text with everything that is not printable UTF-8 replaced, cut to so many bytes.
std::string printable(std::string_view text, std::size_t bytes);

}  // namespace dp
