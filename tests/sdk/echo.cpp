// A backend for tests, in a library of its own: its runtime doubles the one input. The artifact says what else happens.
#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>

#include "backends/backend.h"
#include "error.h"
#include "tensor.h"

namespace {

using dp::Artifact;
using dp::Error;
using dp::Tensor;
using dp::View;

class EchoSession : public dp::Session {
 public:
  explicit EchoSession(const Artifact& artifact) {
    std::ifstream file(artifact.file);
    orders_ = std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (orders_ == "refuse") throw Error(DP_RUNTIME_FAILED, "echo refuses it", "Ask for something else.");
  }

  std::vector<Tensor> run(const std::vector<View>& inputs) override {
    if (orders_ == "throw") throw 42;
    if (orders_ == "nothing") return {};
    if (busy_.exchange(true)) throw Error(DP_INTERNAL, "two threads are in one session");
    if (orders_ == "slow") std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const View& input = inputs.at(0);
    Tensor output = dp::allocate(DP_FLOAT32, input.shape);
    const auto* from = static_cast<const float*>(input.data);
    auto* to = reinterpret_cast<float*>(output.bytes.data());
    for (std::int64_t i = 0; i < dp::elements(input.shape); ++i) to[i] = 2 * from[i];
    busy_ = false;
    return {output};
  }

 private:
  std::string orders_;
  std::atomic<bool> busy_ = false;
};

class EchoRuntime : public dp::Runtime {
 public:
  std::string version() const override { return "2.5.1+cpu"; }
  std::unique_ptr<dp::Session> open(const Artifact& artifact) override {
    return std::make_unique<EchoSession>(artifact);
  }
};

std::unique_ptr<dp::Runtime> load(const Artifact& /*artifact*/) { return std::make_unique<EchoRuntime>(); }

constexpr dp::Backend kEcho = {"echo", load, true};

}  // namespace

extern "C" [[gnu::visibility("default")]] const dp::Backend* dp_backend(const char* sdk_version) {
  return std::strcmp(sdk_version, DP_VERSION) == 0 ? &kEcho : nullptr;
}
