// A tensor on the bytes of somebody else, as ExecuTorch takes its inputs.
#pragma once

#include <executorch/runtime/core/evalue.h>
#include <executorch/runtime/core/exec_aten/exec_aten.h>
#include <executorch/runtime/core/exec_aten/util/dim_order_util.h>

#include <numeric>
#include <utility>
#include <vector>

namespace [[gnu::visibility("hidden")]] et {

/// One input of a call.
class Input {
 public:
  /// `data` outlives it; a method only reads its inputs, which a tensor has no word for.
  Input(executorch::aten::ScalarType type, std::vector<executorch::aten::SizesType> sizes, const void* data)
      : sizes_(std::move(sizes)),
        order_(sizes_.size()),
        strides_(sizes_.size()),
        tensor_(type, static_cast<ssize_t>(sizes_.size()), sizes_.data(), const_cast<void*>(data), order_.data(),
                strides_.data()) {
    std::iota(order_.begin(), order_.end(), executorch::aten::DimOrderType{0});
    executorch::runtime::dim_order_to_stride_nocheck(sizes_.data(), order_.data(), sizes_.size(), strides_.data());
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  executorch::runtime::EValue value() { return executorch::runtime::EValue(executorch::aten::Tensor(&tensor_)); }

 private:
  std::vector<executorch::aten::SizesType> sizes_;
  std::vector<executorch::aten::DimOrderType> order_;
  std::vector<executorch::aten::StridesType> strides_;
  executorch::aten::TensorImpl tensor_;
};

}  // namespace et
