// A bundle out of a zip.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "manifest.h"

namespace dp {

/// Unpacks the files that the manifest in a zip lists into an empty folder, none of another size than it says, and
/// returns the manifest. `shown` is what errors call the zip. Throws Error; what was unpacked until then stays.
Manifest unpack(const std::filesystem::path& zip, const std::filesystem::path& folder, const std::string& shown,
                std::uint64_t max_bytes);

}  // namespace dp
