// A package of AOTInductor: a zip with the library of the model, and what torch's own loader reads beside it.
#pragma once

#include <filesystem>
#include <string>

namespace [[gnu::visibility("hidden")]] aoti {

struct Package {
  std::filesystem::path library;  ///< Unpacked.
  std::string ops;                ///< The ops that the model leaves to its host, as JSON; empty where there are none.
};

/// Unpacks the library into a folder; throws dp::Error where the package is damaged, or was compiled for a processor
/// that this one is not.
Package unpack(const std::filesystem::path& file, const std::filesystem::path& folder);

}  // namespace aoti
