// The backends that are parts of the library. The list is written by CMake (cmake/builtin.cpp.in).
#pragma once

#include <vector>

#include "backends/backend.h"

namespace dp {

std::vector<const Backend*> builtin_backends();

}  // namespace dp
