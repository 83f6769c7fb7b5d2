// What goes wrong inside the SDK; the C functions turn it into a dp_error.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "deploypipe/deploypipe.h"

namespace dp {

/// One sentence without its full stop, and a cure with it. Visible, so that a backend in a library of its own throws
/// the same type.
class [[gnu::visibility("default")]] Error : public std::runtime_error {
 public:
  Error(dp_status status, const std::string& message, std::string cure = "")
      : std::runtime_error(message), status_(status), cure_(std::move(cure)) {}

  dp_status status() const { return status_; }
  const std::string& cure() const { return cure_; }

 private:
  dp_status status_;
  std::string cure_;
};

}  // namespace dp
