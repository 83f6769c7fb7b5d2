// Golden vectors: inputs, and the outputs that eager PyTorch gave for them, in a safetensors file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <istream>
#include <map>
#include <string>
#include <vector>

#include "manifest.h"
#include "tensor.h"

namespace dp {

/// Where a tensor lies in a safetensors file.
struct Stored {
  dp_dtype dtype = DP_FLOAT32;
  std::vector<std::int64_t> shape;
  std::int64_t offset = 0;  ///< From the beginning of the file.
  std::int64_t bytes = 0;
};

/// Reads the header of a safetensors file; throws Damaged where it is not one, or a tensor does not lie where it could.
std::map<std::string, Stored> read_header(std::istream& file);

/// The golden vectors of a bundle: `<number>.<inputs|outputs>.<name>`.
class Golden {
 public:
  /// Reads the header of a file; throws Error of DP_BAD_BUNDLE where it lacks a vector of the manifest.
  Golden(std::filesystem::path file, const Manifest& manifest);

  std::size_t count() const { return count_; }
  std::vector<Tensor> inputs(std::size_t number) const { return read(number, "inputs", inputs_); }
  std::vector<Tensor> outputs(std::size_t number) const { return read(number, "outputs", outputs_); }

 private:
  void check(const std::string& side, const std::vector<std::string>& names) const;
  std::vector<Tensor> read(std::size_t number, const std::string& side, const std::vector<std::string>& names) const;

  std::filesystem::path file_;
  std::vector<std::string> inputs_;
  std::vector<std::string> outputs_;
  std::map<std::string, Stored> stored_;
  std::size_t count_ = 0;
};

}  // namespace dp
