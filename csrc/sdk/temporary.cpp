#include "temporary.h"

#include <stdlib.h>  // mkdtemp is not in cstdlib

#include <cerrno>
#include <cstring>
#include <new>
#include <string>

#include "error.h"

namespace dp {
namespace {

std::filesystem::path parent_of_all() {
  const char* named = std::getenv("TMPDIR");
  return named != nullptr && *named != '\0' ? named : "/tmp";
}

}  // namespace

TemporaryFolder::TemporaryFolder(const std::filesystem::path& parent) {
  const std::filesystem::path home = parent.empty() ? parent_of_all() : parent;
  std::string name = (home / "deploypipe-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    throw Error(DP_INVALID_ARGUMENT, "No folder can be made in " + home.string() + ": " + std::strerror(errno),
                "Name a temporary_folder that can be written.");
  }
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  try {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): what is left is for whoever cleans that folder
  }
}

}  // namespace dp
