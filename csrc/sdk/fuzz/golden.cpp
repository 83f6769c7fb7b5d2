// A safetensors file of a stranger: every tensor of a header that is accepted lies in the file.
#include "golden.h"

#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>

#include "error.h"
#include "node.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream file(std::string(data, data + size));
  try {
    for (const auto& [name, stored] : dp::read_header(file)) {
      const dp::Tensor tensor = dp::allocate(stored.dtype, stored.shape);
      const bool inside = stored.offset >= 8 && stored.offset + stored.bytes <= static_cast<std::int64_t>(size);
      if (!inside || tensor.bytes.size() != static_cast<std::size_t>(stored.bytes)) std::abort();
    }
  } catch (const dp::Damaged&) {
    return 0;
  }
  return 0;
}
