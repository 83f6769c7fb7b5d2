// Versions, and the platform that this is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "manifest.h"

namespace dp {

/// The numbers of a version's release, as Python's packaging has them: 1, 32, 0 of "1.32.0.dev7+cpu". Empty where the
/// text is no version.
std::vector<std::int64_t> release_of(const std::string& version);

/// Whether a release is older; missing numbers count as zero.
bool older(std::vector<std::int64_t> release, std::vector<std::int64_t> than);

/// The platform of this build, as targets name it: `linux-x86_64`.
const char* this_platform();

/// Throws Error of DP_UNSUPPORTED where a bundle is not for this platform or not for the version of its runtime. Its op
/// libraries count where they are used; a runtime that does not tell its version is taken at its word.
void check_host(const Manifest& manifest, const std::string& runtime_version, bool with_libraries);

}  // namespace dp
