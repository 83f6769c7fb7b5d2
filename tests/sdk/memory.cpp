// Calls the C API while an allocation fails: the first one, then the second one, until a call needs no more of them.
// memory BUNDLE BACKENDS    prints how many allocations failed; each was to give a status and a sentence.
#include <deploypipe/deploypipe.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <new>

namespace {

std::uint64_t left = UINT64_MAX;  // allocations that succeed yet
bool every = false;               // whether all that follow the first one fail too
bool failed = false;

bool fails() {
  if (left > 0) {
    --left;
    return false;
  }
  if (!every) left = UINT64_MAX;
  return failed = true;
}

/// Returns how often a call failed for lack of memory, or ends the process where it does not say so.
template <class Call>
int count(Call call, bool all) {
  for (int number = 0;; ++number) {
    dp_error error = {};
    failed = false;
    every = all;
    left = static_cast<std::uint64_t>(number);
    const dp_status status = call(&error);
    left = UINT64_MAX;
    if (!failed) return number;
    if (status != error.status || (status != DP_OK && error.message[0] == '\0')) std::exit(1);
    if (all && status != DP_OUT_OF_MEMORY) std::exit(2);
  }
}

}  // namespace

void* operator new(std::size_t size) {
  void* const memory = fails() ? nullptr : std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

int main(int, char** words) {
  dp_options options = DP_OPTIONS_INIT;
  options.backend_folder = words[2];
  dp_model* model = nullptr;
  if (dp_open(words[1], &options, &model, nullptr) != DP_OK) return 3;
  const float values[6] = {1, 2, 3, 4, 5, 6};
  const auto run = [&](int64_t columns, dp_error* error) {
    const dp_tensor input = {DP_FLOAT32, 2, {2, columns}, values};
    dp_results* results = nullptr;
    const dp_status status = dp_run(model, &input, 1, &results, error);
    dp_results_free(results);
    return status;
  };
  int total = 0;
  for (const bool all : {false, true}) {
    total += count([&](dp_error* error) { return run(3, error); }, all);
    total += count([&](dp_error* error) { return run(2, error); }, all);
    total += count([&](dp_error* error) { return dp_open("none", &options, &model, error); }, all);
  }
  std::printf("%d\n", total);
}
