// A manifest of a stranger: read whole, or refused with an Error, and nothing else.
#include "manifest.h"

#include <cstdint>
#include <string>

#include "error.h"
#include "text.h"
#include "version.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const dp::Manifest manifest = dp::parse_manifest(std::string(data, data + size), "bundle");
    for (const dp::TensorInfo& info : manifest.inputs) dp::describe(info);
    dp::check_host(manifest, "1.32.0+cpu", true);
  } catch (const dp::Error& error) {
    dp::printable(error.what(), 767);
  }
  return 0;
}
