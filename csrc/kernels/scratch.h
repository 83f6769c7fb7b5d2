// Memory without values.
#pragma once

#include <cstdint>
#include <memory>

namespace op {

class Scratch {
 public:
  explicit Scratch(std::int64_t size)
      : data_(std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(size))) {}
  float* get() const { return data_.get(); }

 private:
  std::unique_ptr<float[]> data_;
};

}  // namespace op
