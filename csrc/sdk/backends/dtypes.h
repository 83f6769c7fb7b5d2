// The dtypes of the SDK and the types that a runtime has for them.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "error.h"

namespace dp {

/// Each dtype with the type of a runtime.
template <class Theirs>
using Dtypes = std::array<std::pair<dp_dtype, Theirs>, 7>;

template <class Theirs>
Theirs theirs(const Dtypes<Theirs>& types, dp_dtype dtype) {
  return std::find_if(types.begin(), types.end(), [&](const auto& pair) { return pair.first == dtype; })->second;
}

[[noreturn]] inline void refuse_type_of(const std::string& output) {
  throw Error(DP_UNSUPPORTED, "The output " + output + " is of a type that the SDK has not", "Build the bundle again.");
}

/// Throws Error where the SDK has no such dtype; `output` is the name of what is of that type.
template <class Theirs>
dp_dtype ours(const Dtypes<Theirs>& types, Theirs type, const std::string& output) {
  const auto found = std::find_if(types.begin(), types.end(), [&](const auto& pair) { return pair.second == type; });
  if (found == types.end()) refuse_type_of(output);
  return found->first;
}

}  // namespace dp
