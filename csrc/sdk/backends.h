// The backends of this build, and those that are libraries of their own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "backends/backend.h"

namespace dp {

/// The backend of a runtime: of this build, else libdeploypipe_<name> in a folder or, where that is empty, beside this
/// library. A runtime's library that the caller named is opened before such a library, which needs it. Throws Error.
const Backend& find_backend(const std::string& name, const std::filesystem::path& folder,
                            const std::filesystem::path& runtime_library);

/// The names of all backends that `find_backend` finds with an empty folder.
std::vector<std::string> backend_names();

}  // namespace dp
