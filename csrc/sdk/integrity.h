// A bundle is checked before anything in it is trusted: its names, its files and their digests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "manifest.h"

namespace dp {

inline constexpr const char* kDistrust = "Do not trust this bundle.";
inline constexpr const char* kGetAnother = "Build the bundle again, or get an undamaged copy.";

/// Throws Error where a listed name leaves the bundle, something that it uses is not listed, or its files have more
/// bytes than allowed.
void check_listing(const Manifest& manifest, const std::string& bundle, std::uint64_t max_bytes);

/// Throws Error where a manifest has too many bytes.
void check_manifest_size(std::uint64_t size, const std::string& bundle);

/// Reads the manifest of a folder.
Manifest read_manifest(const std::filesystem::path& folder, const std::string& bundle);

/// Throws Error where a file is missing, truncated, changed, a link, or not listed. `bundle` is what errors call it.
void check_files(const std::filesystem::path& folder, const Manifest& manifest, const std::string& bundle);

}  // namespace dp
