// Runs a program of ExecuTorch one instruction after the other, and reads the clock between them: the runtime in the
// wheel of Python is built without its own profiler.
#include <executorch/extension/threadpool/threadpool_guard.h>
#include <executorch/runtime/core/exec_aten/exec_aten.h>
#include <executorch/runtime/executor/memory_manager.h>
#include <executorch/runtime/executor/method.h>
#include <executorch/runtime/executor/program.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "backends/executorch_input.h"
#include "backends/executorch_memory.h"

namespace {

/// An array of the caller, on which a tensor is made.
struct Array {
  void* data;
  const std::int32_t* shape;
  std::int32_t rank;
  std::int32_t type;  // a ScalarType
};

using executorch::aten::ScalarType;
using executorch::runtime::HierarchicalAllocator;
using executorch::runtime::MemoryManager;
using executorch::runtime::Method;
using executorch::runtime::MethodMeta;
using executorch::runtime::Program;
using executorch::runtime::Result;
using executorch::runtime::Span;
using Code = executorch::runtime::Error;

constexpr const char* kMethod = "forward";
constexpr std::size_t kCacheLine = 64;

void check(Code code) {
  if (code != Code::Ok) throw std::runtime_error(executorch::runtime::to_string(code));
}

template <class T>
T taken(Result<T>&& result) {
  check(result.error());
  return std::move(result.get());
}

/// The buffers that the memory plan of the method asks for.
std::vector<Span<std::uint8_t>> planned(const MethodMeta& meta, et::Heap& heap) {
  std::vector<Span<std::uint8_t>> buffers;
  for (std::size_t i = 0; i < meta.num_memory_planned_buffers(); ++i) {
    const auto size = static_cast<std::size_t>(taken(meta.memory_planned_buffer_size(i)));
    void* const buffer = heap.allocate(size, kCacheLine);
    if (buffer == nullptr) throw std::bad_alloc();
    buffers.emplace_back(static_cast<std::uint8_t*>(buffer), size);
  }
  return buffers;
}

std::unique_ptr<et::Input> input_of(const Array& array) {
  const std::vector<executorch::aten::SizesType> sizes(array.shape, array.shape + array.rank);
  return std::make_unique<et::Input>(static_cast<ScalarType>(array.type), sizes, array.data);
}

class Stepper {
 public:
  explicit Stepper(const char* file)
      : file_(file),
        program_(taken(Program::load(&file_))),
        buffers_(planned(taken(program_.method_meta(kMethod)), plan_)),
        allocator_({buffers_.data(), buffers_.size()}),
        memory_(&heap_, &allocator_, &scratch_),
        method_(taken(program_.load_method(kMethod, &memory_))) {}

  /// Runs the method once; writes the nanoseconds after each instruction, counted from the first one's beginning.
  void run(std::vector<std::unique_ptr<et::Input>>& inputs, std::size_t instructions, std::int64_t* ends) {
    for (std::size_t i = 0; i < inputs.size(); ++i) check(method_.set_input(inputs[i]->value(), i));
    const auto begin = std::chrono::steady_clock::now();
    std::size_t done = 0;
    Code code = method_.step();
    for (; code == Code::Ok; code = method_.step()) {
      const std::chrono::nanoseconds passed = std::chrono::steady_clock::now() - begin;
      if (done < instructions) ends[done] = passed.count();
      ++done;
    }
    if (code != Code::EndOfMethod) check(code);
    if (done != instructions) throw std::runtime_error("it does not run its instructions one after the other");
    check(method_.reset_execution());
  }

 private:
  et::MappedFile file_;
  Program program_;
  et::Heap plan_;
  std::vector<Span<std::uint8_t>> buffers_;
  HierarchicalAllocator allocator_;
  et::Heap heap_;
  et::Heap scratch_;
  MemoryManager memory_;
  Method method_;
};

}  // namespace

/// Runs a program in one thread. `ends` takes for each run the time after each of its instructions.
/// Returns an empty text, or what went wrong; it is there until the next call of this thread.
extern "C" [[gnu::visibility("default")]] const char* executorch_steps(const char* file, const Array* arrays,
                                                                       std::size_t count, std::size_t runs,
                                                                       std::size_t instructions, std::int64_t* ends) {
  thread_local std::string error;
  error.clear();
  try {
    const executorch::extension::threadpool::NoThreadPoolGuard alone;
    Stepper stepper(file);
    std::vector<std::unique_ptr<et::Input>> inputs;
    inputs.reserve(count);
    for (std::size_t i = 0; i < count; ++i) inputs.push_back(input_of(arrays[i]));
    for (std::size_t i = 0; i < runs; ++i) stepper.run(inputs, instructions, ends + i * instructions);
  } catch (const std::exception& caught) {
    error = caught.what();
  }
  return error.c_str();
}
