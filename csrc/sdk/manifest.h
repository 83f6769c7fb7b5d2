// The manifest of a bundle, as far as the SDK needs it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tensor.h"

namespace dp {

inline constexpr const char* kManifestFile = "manifest.json";
inline constexpr const char* kGoldenFile = "golden.safetensors";
inline constexpr const char* kSignatureFile = "model.sig";  ///< Not listed, and not looked at.
inline constexpr std::uint64_t kMaxManifestBytes = 16'000'000;

struct RuntimeInfo {
  std::string name;
  std::string package;
  std::string min_version;
};

/// A custom op of the model; without a library in the bundle the name of it is empty.
struct OpInfo {
  std::string library;
  std::vector<std::pair<std::string, std::string>> abi;  ///< Package and version that the library was built for.
};

struct FileInfo {
  std::string sha256;
  std::int64_t size = 0;
};

struct Limits {
  double normalized_error = 1e-4;
  double unequal_share = 1e-4;
};

struct Resize {
  std::int64_t height = 0;
  std::int64_t width = 0;
  bool area = false;  ///< Else bilinear.
};

/// How an image becomes an input; one value of mean and std for each channel of the tensor.
struct ImageInfo {
  bool channels_last = false;
  std::vector<Resize> resize;
  std::vector<double> mean;
  std::vector<double> std;
};

/// How a row of an output becomes classes.
struct ClassInfo {
  std::vector<std::string> labels;
  bool softmax = true;
};

struct Manifest {
  std::string text;  ///< The file itself.
  std::string platform;
  RuntimeInfo runtime;
  std::string artifact;
  std::vector<OpInfo> ops;
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
  Limits limits;
  bool finite_inputs = false;
  std::map<std::string, FileInfo> files;
  std::map<std::string, ImageInfo> images;   ///< By the name of the input.
  std::map<std::string, ClassInfo> classes;  ///< By the name of the output.

  /// The op libraries of the bundle, each once.
  std::vector<std::string> libraries() const;
};

/// Reads a manifest; `bundle` is what errors call the bundle. Throws Error of DP_BAD_BUNDLE or, where the format is
/// newer, of DP_UNSUPPORTED.
Manifest parse_manifest(std::string text, const std::string& bundle);

}  // namespace dp
