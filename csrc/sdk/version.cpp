#include "version.h"

#include <algorithm>
#include <charconv>

#include "error.h"

#if defined(__APPLE__)
#include <TargetConditionals.h>
#endif

namespace dp {
namespace {

#if defined(__ANDROID__)
#define DP_SYSTEM "android"
#elif defined(__APPLE__)
#if TARGET_OS_IPHONE
#define DP_SYSTEM "ios"
#else
#define DP_SYSTEM "darwin"
#endif
#elif defined(__linux__)
#define DP_SYSTEM "linux"
#else
#define DP_SYSTEM "unknown"
#endif

#if defined(__x86_64__)
#define DP_MACHINE "x86_64"
#elif defined(__aarch64__) && (defined(__APPLE__) || defined(__ANDROID__))
#define DP_MACHINE "arm64"
#elif defined(__aarch64__)
#define DP_MACHINE "aarch64"
#else
#define DP_MACHINE "unknown"
#endif

/// ONNX Runtime promises that newer versions load older libraries; torch, ExecuTorch and LiteRT do not.
bool compatible(const std::string& package, const std::string& built_for, const std::string& found) {
  const std::vector<std::int64_t> here = release_of(found);
  const std::vector<std::int64_t> there = release_of(built_for);
  if (package == "onnxruntime") return here >= there;
  return here.size() >= there.size() && std::equal(there.begin(), there.end(), here.begin());
}

void check_abi(const std::string& package, const std::string& built_for, const std::string& found) {
  if (compatible(package, built_for, found)) return;
  throw Error(
      DP_UNSUPPORTED,
      "The op library of this bundle was built for " + package + " " + built_for + "; " + found + " is installed",
      "Build the bundle again with the version that is installed here.");
}

}  // namespace

std::vector<std::int64_t> release_of(const std::string& version) {
  std::vector<std::int64_t> release;
  const char* at = version.data();
  const char* const end = at + version.size();
  if (at != end && (*at == 'v' || *at == 'V')) ++at;
  while (at != end) {
    std::int64_t number = 0;
    const auto [next, failed] = std::from_chars(at, end, number);
    if (failed != std::errc() || number < 0) break;
    release.push_back(number);
    if (next == end || *next != '.') break;
    at = next + 1;
  }
  return release;
}

bool older(std::vector<std::int64_t> release, std::vector<std::int64_t> than) {
  const std::size_t size = std::max(release.size(), than.size());
  release.resize(size);
  than.resize(size);
  return release < than;
}

const char* this_platform() { return DP_SYSTEM "-" DP_MACHINE; }

void check_host(const Manifest& manifest, const std::string& runtime_version, bool with_libraries) {
  const RuntimeInfo& runtime = manifest.runtime;
  const bool told = !runtime_version.empty();
  if (told && older(release_of(runtime_version), release_of(runtime.min_version))) {
    throw Error(
        DP_UNSUPPORTED,
        "The bundle needs " + runtime.package + " " + runtime.min_version + "; " + runtime_version + " is installed",
        "Install a newer one.");
  }
  if (!with_libraries || manifest.libraries().empty()) return;
  if (manifest.platform != this_platform()) {
    throw Error(DP_UNSUPPORTED,
                "The op library of this bundle is for " + manifest.platform + "; this is " + this_platform(),
                "Build it for this platform.");
  }
  if (!told) return;
  for (const OpInfo& op : manifest.ops) {
    if (op.library.empty()) continue;
    for (const auto& [package, built_for] : op.abi) check_abi(package, built_for, runtime_version);
  }
}

}  // namespace dp
