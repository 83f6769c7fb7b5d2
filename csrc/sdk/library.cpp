#include "library.h"

#include <dlfcn.h>

#include <algorithm>
#include <optional>

#include "error.h"
#include "text.h"

namespace dp {
namespace {

namespace fs = std::filesystem;

/// The file of a folder that has one of the names, or one of them followed by its version.
std::optional<fs::path> find_in(const fs::path& folder, const std::string& name) {
  std::error_code failed;
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, failed)) {
    const std::string file = entry.path().filename().string();
    if (file == name || file.starts_with(name + ".")) found.push_back(entry.path());
  }
  if (found.empty()) return std::nullopt;
  return *std::min_element(found.begin(), found.end());  // the plain name comes first
}

std::string last_error() {
  const char* said = dlerror();
  return said == nullptr ? "unknown" : said;
}

[[noreturn]] void refuse(const Search& search, const std::string& file, const std::string& said) {
  throw Error(DP_NO_RUNTIME, file + " cannot be loaded as " + search.runtime + ": " + said, search.cure);
}

void* open_file(const Search& search, const fs::path& file, int flags) {
  void* handle = dlopen(file.c_str(), flags);
  if (handle == nullptr) refuse(search, file.string(), last_error());
  return handle;
}

/// Returns nullptr where the system has no such library; one that is there, of which the loader names the path or what
/// it lacks, and does not load is an error.
void* open_system(const Search& search, const std::string& name, int flags) {
  void* handle = dlopen(name.c_str(), flags);
  if (handle != nullptr) return handle;
  const std::string said = last_error();
  const bool is_there = said.find("/" + name) != std::string::npos || said.find(name) == std::string::npos;
  if (is_there) refuse(search, name, said);
  return nullptr;
}

}  // namespace

Library Library::open(const Search& search, bool global) {
  const int flags = RTLD_NOW | (global ? RTLD_GLOBAL : RTLD_LOCAL);
  if (!search.named.empty()) {
    const fs::path file = fs::absolute(search.named);  // a bare name would be looked for elsewhere
    std::error_code failed;
    if (fs::exists(file, failed)) return {open_file(search, file, flags), file};
    throw Error(DP_NO_RUNTIME, "There is no " + file.string() + ", which was named as " + search.runtime,
                "Name the file of its shared library.");
  }
  const fs::path folder = search.bundle / "lib";
  for (const std::string& name : search.names) {
    if (search.bundle.empty()) break;
    if (const auto file = find_in(folder, name)) return {open_file(search, *file, flags), *file};
  }
  for (const std::string& name : search.names) {
    if (void* handle = open_system(search, name, flags)) return {handle, name};
  }
  throw Error(DP_NO_RUNTIME,
              search.runtime + " is not found: " + joined(search.names) + " is neither in " + folder.string() +
                  " nor on this system",
              search.cure);
}

void* Library::find(const char* name) const { return dlsym(handle_, name); }

}  // namespace dp
