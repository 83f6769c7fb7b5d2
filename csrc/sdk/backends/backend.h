// What a runtime is to the SDK. A backend either is a part of the library, or a library of its own
// (libdeploypipe_<runtime>.so) that exports `dp_backend`.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tensor.h"

namespace dp {

/// What a backend opens. All files were checked against the manifest.
struct Artifact {
  std::filesystem::path bundle;                  ///< Folder of the bundle.
  std::filesystem::path file;                    ///< The artifact in it.
  std::vector<std::filesystem::path> libraries;  ///< Its op libraries, none where they stay unused.
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
  std::filesystem::path runtime_library;   ///< What the caller named, or empty.
  std::filesystem::path temporary_folder;  ///< Private to this model, removed with it.
  int threads = 1;
};

/// An artifact that is loaded. `run` is called by one thread at a time; inputs were checked.
class [[gnu::visibility("default")]] Session {
 public:
  Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  virtual ~Session() = default;

  /// The outputs in the order of the manifest, with the dtypes that the runtime gave; throws Error.
  virtual std::vector<Tensor> run(const std::vector<View>& inputs) = 0;
};

/// A runtime whose shared library is loaded, before anything of the bundle is.
class [[gnu::visibility("default")]] Runtime {
 public:
  Runtime() = default;
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  virtual ~Runtime() = default;

  /// Its version, such as "1.32.0"; empty where it does not tell. The manifest's floors are held against it.
  virtual std::string version() const = 0;

  /// Loads an artifact; throws Error.
  virtual std::unique_ptr<Session> open(const Artifact& artifact) = 0;
};

/// Loads the shared library of the runtime: from `runtime_library`, the bundle's lib/, or the system. Throws an Error
/// of DP_NO_RUNTIME that names what is missing and where it was looked for.
using Load = std::unique_ptr<Runtime> (*)(const Artifact& artifact);

struct Backend {
  const char* name;  ///< As in `runtime.name` of the manifest.
  Load load;
  bool portable;  ///< Its artifacts hold the bodies of their ops, and run without op libraries too.
};

/// A library of its own answers with its backend where it was built with the same SDK, else with nullptr.
using Entry = const Backend* (*)(const char* sdk_version);
inline constexpr const char* kEntry = "dp_backend";

}  // namespace dp
