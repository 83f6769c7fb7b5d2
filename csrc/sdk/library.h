// Shared libraries that are opened at run time, and where they are looked for.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace dp {

/// Where the shared library of a runtime may be.
struct Search {
  std::string runtime;             ///< Its name in error texts: "ONNX Runtime".
  std::filesystem::path named;     ///< The file that the caller named, or empty.
  std::filesystem::path bundle;    ///< Its lib/ is looked into.
  std::vector<std::string> names;  ///< File names, in the order of preference; a prefix `x.so.` counts too.
  std::string cure;                ///< What to do where none is there.
};

/// A library that was opened; it stays open as long as the process lives, since runtimes have threads of their own.
class Library {
 public:
  /// Opens the first one that is there; throws an Error of DP_NO_RUNTIME that says where it was looked for.
  /// `global` makes its names visible to the libraries that come after it.
  static Library open(const Search& search, bool global = false);

  /// A function or nullptr.
  void* find(const char* name) const;

  void* handle() const { return handle_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  Library(void* handle, std::filesystem::path path) : handle_(handle), path_(std::move(path)) {}

  void* handle_;
  std::filesystem::path path_;
};

}  // namespace dp
