// A bundle that is checked, loaded and ready to run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "golden.h"
#include "manifest.h"
#include "temporary.h"
#include "verdict.h"

namespace dp {

/// What dp_options says, with its defaults in place.
struct Options {
  std::filesystem::path runtime_library;
  std::filesystem::path backend_folder;
  std::filesystem::path temporary_folder;
  std::uint64_t max_bytes = std::uint64_t{4} << 30;
  int threads = 1;
  bool without_op_libraries = false;
};

class Model {
 public:
  /// Checks every file of a bundle, then loads it; throws Error.
  Model(const std::filesystem::path& path, const Options& options);

  const Manifest& manifest() const { return manifest_; }
  const Golden& golden() const { return *golden_; }
  const std::string& runtime_version() const { return version_; }
  const std::vector<dp_tensor_info>& inputs() const { return inputs_; }
  const std::vector<dp_tensor_info>& outputs() const { return outputs_; }

  /// Runs once; several threads may, and wait for each other.
  std::vector<Tensor> run(const dp_tensor* inputs, std::size_t count);

  /// Runs the golden vectors.
  std::vector<Check> verify();

 private:
  std::filesystem::path prepare(const std::filesystem::path& path, const Options& options);
  Artifact artifact_of(const std::filesystem::path& folder, const Options& options) const;

  // In this order, so that the folder outlives what was loaded from it.
  std::unique_ptr<TemporaryFolder> temporary_;
  Manifest manifest_;
  std::unique_ptr<Golden> golden_;
  bool with_libraries_;
  std::unique_ptr<Runtime> runtime_;
  std::string version_;
  std::unique_ptr<Session> session_;
  std::vector<dp_tensor_info> inputs_;
  std::vector<dp_tensor_info> outputs_;
  std::mutex running_;
};

/// A tensor as the C API gives it.
dp_tensor borrow(const Tensor& tensor);

}  // namespace dp
