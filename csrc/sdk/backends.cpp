#include "backends.h"

#include <dlfcn.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "builtin.h"
#include "error.h"
#include "library.h"
#include "text.h"

namespace dp {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "libdeploypipe_";
#if defined(__APPLE__)
constexpr const char* kSuffix = ".dylib";
#else
constexpr const char* kSuffix = ".so";
#endif

/// The folder of this library; empty where the system does not tell.
fs::path own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&dp_version), &info) == 0 || info.dli_fname == nullptr) return {};
  return fs::path(info.dli_fname).parent_path();
}

/// Whether a library exports `dp_backend`, told from its bytes: op libraries have names of the same form.
bool is_backend(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  return bytes.find(std::string(1, '\0') + kEntry + '\0') != std::string::npos;
}

/// The name of the backend in a library, empty where it is none.
std::string name_in(const fs::path& file) {
  const std::string name = file.filename().string();
  const std::string prefix = kPrefix;
  const std::string suffix = kSuffix;
  const bool fits = name.size() > prefix.size() + suffix.size() && name.starts_with(prefix) && name.ends_with(suffix);
  if (!fits || !is_backend(file)) return "";
  return name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
}

/// A name from a manifest becomes a part of a path, so it must not be one itself.
bool is_plain(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '-' || letter == '_';
  });
}

[[noreturn]] void refuse_name(const std::string& name) {
  throw Error(DP_UNSUPPORTED, "This SDK has no backend for " + name, "It has: " + joined(backend_names()) + ".");
}

const Backend& open_backend(const fs::path& file, const std::string& name, const fs::path& runtime_library) {
  const std::string cure = "Name the shared library of the runtime that it was built with as runtime_library.";
  if (!runtime_library.empty()) {
    Library::open({.runtime = name, .named = runtime_library, .bundle = {}, .names = {}, .cure = cure}, true);
  }
  const Library library =
      Library::open({.runtime = "the backend for " + name, .named = file, .bundle = {}, .names = {}, .cure = cure});
  const auto entry = reinterpret_cast<Entry>(library.find(kEntry));
  const Backend* backend = entry == nullptr ? nullptr : entry(DP_VERSION);
  if (backend == nullptr || backend->name != name) {
    throw Error(DP_UNSUPPORTED, file.string() + " is no backend for " + name + " of SDK " DP_VERSION,
                "Build it together with this library.");
  }
  return *backend;
}

}  // namespace

const Backend& find_backend(const std::string& name, const fs::path& folder, const fs::path& runtime_library) {
  for (const Backend* backend : builtin_backends()) {
    if (backend->name == name) return *backend;
  }
  if (!is_plain(name)) refuse_name(name);
  const fs::path file = (folder.empty() ? own_folder() : folder) / (kPrefix + name + kSuffix);
  std::error_code failed;
  if (!fs::is_regular_file(file, failed)) refuse_name(name);
  return open_backend(file, name, runtime_library);
}

std::vector<std::string> backend_names() {
  std::vector<std::string> names;
  for (const Backend* backend : builtin_backends()) names.emplace_back(backend->name);
  std::error_code failed;
  std::vector<std::string> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(own_folder(), failed)) {
    const std::string name = name_in(entry.path());
    if (!name.empty()) found.push_back(name);
  }
  std::sort(found.begin(), found.end());
  names.insert(names.end(), found.begin(), found.end());
  return names;
}

}  // namespace dp
