// The one file that sees the ops of a library: OP_NAMESPACE names it, its `ops.h` comes first on the include path.
#include <ops.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "op.h"
#include "op/json.h"

namespace op {
namespace {

// `op::Training`, qualified: a name in ops.h then hides the default instead of clashing with it.
consteval auto join() {
  std::array<Op, op::Ops::size + op::Training::size> all;
  const auto plain = op::Ops::describe_all(false);
  const auto training = op::Training::describe_all(true);
  std::copy(training.begin(), training.end(), std::copy(plain.begin(), plain.end(), all.begin()));
  return all;
}

constexpr auto kOps = join();

consteval bool distinct() {
  for (std::size_t i = 0; i < kOps.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (kOps[i].name == kOps[j].name) return false;
    }
  }
  return true;
}
static_assert(distinct(), "two ops of the list have the same name in their signatures");

// The mark before the text is what deploypipe.native looks for in the bytes of a library.
constexpr std::string_view kMark = "deploypipe-ops:";
constexpr std::size_t kSize = Json(nullptr).library(OP_NAMESPACE, kOps);

consteval auto write() {
  std::array<char, kMark.size() + kSize + 1> text{};
  Json(std::copy(kMark.begin(), kMark.end(), text.data())).library(OP_NAMESPACE, kOps);
  return text;
}

constexpr auto kText = write();

}  // namespace

constinit const std::span<const Op> ops = kOps;
constinit const std::string_view library = OP_NAMESPACE;

}  // namespace op

extern "C" [[gnu::visibility("default")]] const char* deploypipe_describe() {
  return op::kText.data() + op::kMark.size();
}
