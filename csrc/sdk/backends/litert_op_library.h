// An op library for LiteRT, as csrc/bindings/litert.h has it.
#pragma once

#include <dlfcn.h>

#include <filesystem>
#include <string>
#include <vector>

#include "backends/litert_functions.h"
#include "error.h"

namespace [[gnu::visibility("hidden")]] litert {

/// A library that is loaded. It stays so: LiteRT keeps pointers into it as long as a model lives.
class OpLibrary {
 public:
  explicit OpLibrary(const std::filesystem::path& path) : name_(path.filename().string()) {
    void* const handle = found(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL));
    register_ = reinterpret_cast<Register>(found(dlsym(handle, "deploypipe_register_litert")));
    error_ = reinterpret_cast<LastError>(found(dlsym(handle, "deploypipe_litert_error")));
  }

  /// Gives the options of a model the kernels that the model calls.
  void add(Options options, Model model, void* litert, const std::string& file) const {
    const char* const error = register_(options, model, litert);
    if (error == nullptr) return;
    throw dp::Error(DP_RUNTIME_FAILED, name_ + " does not fit " + file + ": " + error,
                    "Build the bundle again with the op library that belongs to it.");
  }

  /// The first error of a kernel in this thread since this was last asked for; LiteRT does not hear of it.
  std::string error() const {
    const char* const error = error_();
    return error == nullptr ? "" : error;
  }

 private:
  using Register = const char* (*)(void* options, void* model, void* library);
  using LastError = const char* (*)();

  void* found(void* what) const {
    if (what != nullptr) return what;
    throw dp::Error(DP_RUNTIME_FAILED, "The op library " + name_ + " does not load in LiteRT: " + dlerror(),
                    "Build the bundle again for this platform.");
  }

  std::string name_;
  Register register_;
  LastError error_;
};

/// What kernels complained of since this was last asked for, or nothing.
inline std::string complaint_of(const std::vector<OpLibrary>& libraries) {
  std::string all;
  for (const OpLibrary& library : libraries) {
    const std::string error = library.error();
    if (!error.empty()) all += (all.empty() ? "" : "; ") + error;
  }
  return all;
}

}  // namespace litert
