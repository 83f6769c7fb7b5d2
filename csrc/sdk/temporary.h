// A folder that lives as long as its object.
#pragma once

#include <filesystem>

namespace dp {

class TemporaryFolder {
 public:
  /// Makes a folder that only this user may enter, below `parent` or, where that is empty, below TMPDIR or /tmp; throws
  /// Error.
  explicit TemporaryFolder(const std::filesystem::path& parent);
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace dp
