// The verdict of golden vectors: what was compared, and what of it failed, in the words of deploypipe/bundle.
#pragma once

#include <string>
#include <vector>

#include "manifest.h"
#include "tensor.h"

namespace dp {

/// One comparison of an output with its golden vector; a value that is not finite fails.
struct Check {
  std::string what;
  std::string output;
  std::string metric;
  double value;
  double limit;

  bool passed() const;
  std::string describe() const;
};

/// The form that ran and the sizes of a case: `without op library, batch=5`.
std::string form_of(const Manifest& manifest, bool with_libraries, const std::vector<Tensor>& inputs);

Check compare(const std::string& form, const std::string& name, const Tensor& output, const Tensor& expected,
              const Limits& limits);

bool passed(const std::vector<Check>& checks);

/// {"passed", "checks", "failures"}, as the manifest has it.
std::string to_json(const std::vector<Check>& checks);

}  // namespace dp
