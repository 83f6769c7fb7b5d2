#include "integrity.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <vector>

#include "error.h"
#include "sha256.h"
#include "text.h"

namespace dp {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxName = 200;

std::vector<std::string> parts_of(const std::string& name) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin <= name.size()) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    if (!part.empty() && part != ".") parts.push_back(part);
    begin = end + 1;
  }
  return parts;
}

bool leaves_folder(const std::string& name) {
  const std::vector<std::string> parts = parts_of(name);
  const bool climbs = std::find(parts.begin(), parts.end(), "..") != parts.end();
  return parts.empty() || name.front() == '/' || name.find('\\') != std::string::npos || climbs;
}

/// Whether a name has no control characters and is not too long.
bool can_be(const std::string& name) {
  std::size_t letters = 0;
  for (const unsigned char byte : name) letters += (byte & 0xc0) != 0x80 ? 1 : 0;
  return letters <= kMaxName && printable(name, name.size()) == name;
}

void check_name(const std::string& name, const std::string& bundle) {
  if (!can_be(name)) {
    throw Error(DP_BAD_BUNDLE,
                "The manifest of " + bundle + " names a file that cannot be: " + quoted(name.substr(0, kMaxName)),
                kGetAnother);
  }
  if (leaves_folder(name)) {
    throw Error(DP_BAD_BUNDLE, "The manifest of " + bundle + " names a file outside of it: " + name, kDistrust);
  }
}

bool has_link(const fs::path& folder, const std::string& name) {
  fs::path path = folder;
  for (const std::string& part : parts_of(name)) {
    path /= part;
    std::error_code failed;
    if (fs::is_symlink(fs::symlink_status(path, failed))) return true;
  }
  return false;
}

void refuse_link(const fs::path& folder, const std::string& name, const std::string& bundle) {
  if (has_link(folder, name)) throw Error(DP_BAD_BUNDLE, name + " in " + bundle + " is a link", kDistrust);
}

void check_file(const fs::path& folder, const std::string& name, const FileInfo& info, const std::string& bundle) {
  refuse_link(folder, name, bundle);
  std::error_code failed;
  const fs::path path = folder / name;
  if (!fs::is_regular_file(path, failed)) {
    throw Error(DP_BAD_BUNDLE, name + " is missing in " + bundle, kGetAnother);
  }
  const std::uintmax_t size = fs::file_size(path, failed);
  if (failed || size != static_cast<std::uintmax_t>(info.size)) {
    throw Error(
        DP_BAD_BUNDLE,
        name + " in " + bundle + " has " + std::to_string(size) + " bytes instead of " + std::to_string(info.size),
        kGetAnother);
  }
  if (file_sha256(path) != info.sha256) {
    throw Error(DP_BAD_BUNDLE, name + " in " + bundle + " was changed: its SHA-256 differs from the manifest",
                kGetAnother);
  }
}

/// The first name, in their order, that is there and not listed; empty where there is none.
std::string first_stranger(const fs::path& folder, const Manifest& manifest) {
  std::string first;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_directory() && !entry.is_symlink()) continue;
    const std::string name = entry.path().lexically_relative(folder).generic_string();
    if (name == kManifestFile || name == kSignatureFile || manifest.files.contains(name)) continue;
    if (first.empty() || name < first) first = name;
  }
  return first;
}

void check_total(const Manifest& manifest, const std::string& bundle, std::uint64_t max_bytes) {
  std::uint64_t total = 0;
  for (const auto& [name, info] : manifest.files) {
    const bool overflows = __builtin_add_overflow(total, static_cast<std::uint64_t>(info.size), &total);
    if (overflows) total = std::numeric_limits<std::uint64_t>::max();
  }
  if (total <= max_bytes) return;
  throw Error(DP_BAD_BUNDLE,
              "The files of " + bundle + " have " + std::to_string(total) + " bytes; " + std::to_string(max_bytes) +
                  " are the most",
              "Raise max_bytes if it is to be so large.");
}

}  // namespace

void check_listing(const Manifest& manifest, const std::string& bundle, std::uint64_t max_bytes) {
  for (const auto& [name, info] : manifest.files) check_name(name, bundle);
  std::vector<std::string> used = {manifest.artifact, kGoldenFile};
  for (const std::string& name : manifest.libraries()) used.push_back(name);
  const auto unlisted =
      std::find_if(used.begin(), used.end(), [&](auto& name) { return !manifest.files.contains(name); });
  if (unlisted != used.end()) {
    throw Error(DP_BAD_BUNDLE, "The manifest of " + bundle + " uses " + *unlisted + " but does not list it",
                kGetAnother);
  }
  check_total(manifest, bundle, max_bytes);
}

void check_manifest_size(std::uint64_t size, const std::string& bundle) {
  if (size <= kMaxManifestBytes) return;
  throw Error(DP_BAD_BUNDLE,
              "The manifest of " + bundle + " has " + std::to_string(size) + " bytes; " +
                  std::to_string(kMaxManifestBytes) + " are the most",
              kDistrust);
}

Manifest read_manifest(const fs::path& folder, const std::string& bundle) {
  const fs::path path = folder / kManifestFile;
  std::error_code failed;
  if (!fs::is_regular_file(path, failed)) {
    throw Error(DP_BAD_BUNDLE, bundle + " is not a bundle: it has no " + kManifestFile,
                "Name the folder that holds it.");
  }
  const std::uintmax_t size = fs::file_size(path);
  check_manifest_size(size, bundle);
  std::ifstream stream(path, std::ios::binary);
  std::string text(static_cast<std::size_t>(size), '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return parse_manifest(std::move(text), bundle);
}

void check_files(const fs::path& folder, const Manifest& manifest, const std::string& bundle) {
  for (const char* name : {kManifestFile, kSignatureFile}) refuse_link(folder, name, bundle);
  for (const auto& [name, info] : manifest.files) check_file(folder, name, info, bundle);
  const std::string stranger = first_stranger(folder, manifest);
  if (stranger.empty()) return;
  throw Error(DP_BAD_BUNDLE, bundle + " holds " + stranger + ", which its manifest does not list", kGetAnother);
}

}  // namespace dp
