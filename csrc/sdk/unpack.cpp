#include "unpack.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "error.h"
#include "integrity.h"
#include "text.h"
#include "zip.h"

namespace dp {
namespace {

namespace fs = std::filesystem;

/// A file that was not there before.
class NewFile {
 public:
  explicit NewFile(const fs::path& path)
      : path_(path), descriptor_(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) {
    if (descriptor_ < 0) refuse();
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile() {
    if (descriptor_ >= 0) close(descriptor_);
  }

  void append(std::span<const std::uint8_t> data) {
    while (!data.empty()) {
      const ssize_t written = write(descriptor_, data.data(), data.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) refuse();
      data = data.subspan(static_cast<std::size_t>(written));
    }
  }

 private:
  [[noreturn]] void refuse() const {
    throw Error(DP_BAD_BUNDLE, path_.string() + " cannot be written: " + std::strerror(errno),
                "Make room, or name another temporary_folder.");
  }

  fs::path path_;
  int descriptor_;
};

Manifest manifest_of(Zip& zip, const std::string& shown) {
  const auto entry = zip.entries().find(kManifestFile);
  if (entry == zip.entries().end()) {
    throw Error(DP_BAD_BUNDLE, shown + " is not a bundle: it has no " + kManifestFile + " at its top",
                "Write it with `deploypipe zip`.");
  }
  check_manifest_size(entry->second.size, shown);
  std::string text;
  zip.read(kManifestFile, [&text](std::span<const std::uint8_t> piece) { text.append(piece.begin(), piece.end()); });
  return parse_manifest(std::move(text), shown);
}

/// Throws Error where the zip does not hold a file in its size.
void check_listed(const Zip& zip, const std::string& name, const FileInfo& info, const std::string& shown) {
  const auto entry = zip.entries().find(name);
  if (entry == zip.entries().end()) throw Error(DP_BAD_BUNDLE, name + " is missing in " + shown, kGetAnother);
  if (entry->second.size == static_cast<std::uint64_t>(info.size)) return;
  throw Error(DP_BAD_BUNDLE,
              name + " in " + shown + " has " + std::to_string(entry->second.size) + " bytes instead of " +
                  std::to_string(info.size),
              kGetAnother);
}

/// Throws Error where the zip does not hold what the manifest lists, or more.
void compare(const Zip& zip, const Manifest& manifest, const std::string& shown) {
  for (const auto& [name, info] : manifest.files) check_listed(zip, name, info, shown);
  for (const auto& [name, entry] : zip.entries()) {
    if (name == kManifestFile || name == kSignatureFile || manifest.files.contains(name)) continue;
    throw Error(DP_BAD_BUNDLE, shown + " holds " + quoted(name) + ", which its manifest does not list", kGetAnother);
  }
}

}  // namespace

Manifest unpack(const fs::path& file, const fs::path& folder, const std::string& shown, std::uint64_t max_bytes) {
  Zip zip(std::make_unique<std::ifstream>(file, std::ios::binary), shown);
  if (!zip.exact()) {
    throw Error(DP_BAD_BUNDLE, shown + " is not a whole zip: it holds more than its entries", kGetAnother);
  }
  Manifest manifest = manifest_of(zip, shown);
  check_listing(manifest, shown, max_bytes);
  compare(zip, manifest, shown);
  for (const auto& [name, info] : manifest.files) {
    const fs::path path = folder / name;
    fs::create_directories(path.parent_path());
    NewFile out(path);
    zip.read(name, [&out](std::span<const std::uint8_t> piece) { out.append(piece); });
  }
  return manifest;
}

}  // namespace dp
