// Op libraries that register their ops when they are loaded, as those for torch and ExecuTorch do.
#pragma once

#include <dlfcn.h>

#include <filesystem>
#include <string>
#include <vector>

#include "backends/said.h"
#include "error.h"

namespace dp {

/// Loads them into a runtime that is there already. They stay: the runtime keeps pointers to what they registered.
inline void load_op_libraries(const std::vector<std::filesystem::path>& libraries, const std::string& runtime) {
  for (const std::filesystem::path& library : libraries) {
    if (dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL) != nullptr) continue;
    throw Error(
        DP_RUNTIME_FAILED,
        "The op library " + library.filename().string() + " does not load in " + runtime + ": " + said(dlerror()),
        "Take the version of the runtime that it was built for, or build the bundle again.");
  }
}

}  // namespace dp
