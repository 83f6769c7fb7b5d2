#include "backends/aotinductor_package.h"

#include <fstream>
#include <span>

#include "error.h"
#include "node.h"
#include "zip.h"

namespace aoti {
namespace {

constexpr const char* kLibrary = ".wrapper.so";
constexpr std::uint64_t kMaxTextBytes = std::uint64_t{16} << 20;

/// The path of the one library, without its end; the other files of the model have the same.
std::string stem_of(const dp::Zip& zip, const std::string& file) {
  std::string stem;
  for (const auto& [name, entry] : zip.entries()) {
    if (!name.ends_with(kLibrary)) continue;
    if (!stem.empty()) throw dp::Error(DP_UNSUPPORTED, file + " holds several models", "Build the bundle again.");
    stem = name.substr(0, name.size() - std::string(kLibrary).size());
  }
  if (stem.empty()) throw dp::Error(DP_BAD_BUNDLE, file + " holds no model", "Build the bundle again.");
  return stem;
}

/// The text of an entry, or none where it is not there.
std::string text_of(dp::Zip& zip, const std::string& name) {
  std::string text;
  const auto found = zip.entries().find(name);
  if (found == zip.entries().end()) return text;
  if (found->second.size > kMaxTextBytes) throw dp::Damaged(name + " is too large");
  zip.read(name, [&](std::span<const std::uint8_t> piece) { text.append(piece.begin(), piece.end()); });
  return text;
}

void write(dp::Zip& zip, const std::string& name, const std::filesystem::path& to) {
  std::ofstream out(to, std::ios::binary);
  zip.read(name, [&](std::span<const std::uint8_t> piece) {
    out.write(reinterpret_cast<const char*>(piece.data()), static_cast<std::streamsize>(piece.size()));
  });
  out.close();
  if (!out) {
    throw dp::Error(DP_RUNTIME_FAILED, to.string() + " cannot be written", "Make room for it, or name another folder.");
  }
}

/// Such a model would end the process with an illegal instruction.
void check_processor([[maybe_unused]] const std::string& metadata, [[maybe_unused]] const std::string& file) {
#if defined(__x86_64__)
  if (metadata.empty()) return;
  const nlohmann::json parsed = dp::parse_json(metadata);
  if (dp::Node(parsed, "").at("AOTI_CPU_ISA").text() != "AVX2") return;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return;
  throw dp::Error(DP_UNSUPPORTED, file + " is compiled for AVX2, which this processor has not",
                  "Build the bundle for torchscript or onnxruntime.");
#endif
}

}  // namespace

Package unpack(const std::filesystem::path& file, const std::filesystem::path& folder) {
  const std::string shown = file.filename().string();
  dp::Zip zip(file);
  const std::string stem = stem_of(zip, shown);
  check_processor(text_of(zip, stem + ".wrapper_metadata.json"), shown);
  Package package{folder / "model.so", text_of(zip, stem + ".wrapper.json")};
  write(zip, stem + kLibrary, package.library);
  return package;
}

}  // namespace aoti
