// Where ExecuTorch reads a program from, and where it allocates.
#pragma once

#include <executorch/runtime/core/data_loader.h>
#include <executorch/runtime/core/memory_allocator.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <new>
#include <vector>

#include "error.h"

namespace [[gnu::visibility("hidden")]] et {

using executorch::runtime::Error;
using executorch::runtime::FreeableBuffer;
using executorch::runtime::Result;

/// A file that is mapped, so that weights are read when they are needed, and from the page cache.
class MappedFile final : public executorch::runtime::DataLoader {
 public:
  explicit MappedFile(const std::filesystem::path& path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat facts{};
    if (file >= 0 && fstat(file, &facts) == 0 && facts.st_size > 0) {
      size_ = static_cast<std::size_t>(facts.st_size);
      data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    }
    if (file >= 0) close(file);
    if (data_ != MAP_FAILED) return;
    throw dp::Error(DP_RUNTIME_FAILED, path.string() + " cannot be mapped", "Build the bundle again.");
  }

  ~MappedFile() override { munmap(data_, size_); }

  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  Result<FreeableBuffer> load(std::size_t offset, std::size_t size, const SegmentInfo& /*info*/) const override {
    if (!inside(offset, size)) return Error::InvalidProgram;
    return FreeableBuffer(at(offset), size, nullptr);
  }

  Error load_into(std::size_t offset, std::size_t size, const SegmentInfo& /*info*/, void* buffer) const override {
    if (!inside(offset, size)) return Error::InvalidProgram;
    std::memcpy(buffer, at(offset), size);
    return Error::Ok;
  }

  Result<std::size_t> size() const override { return size_; }

 private:
  bool inside(std::size_t offset, std::size_t size) const { return offset <= size_ && size <= size_ - offset; }
  const std::byte* at(std::size_t offset) const { return static_cast<const std::byte*>(data_) + offset; }

  std::size_t size_ = 0;
  void* data_ = MAP_FAILED;
};

/// Memory that grows as it is asked for: what a method needs beside its plan is not known beforehand.
class Heap final : public executorch::runtime::MemoryAllocator {
 public:
  Heap() : MemoryAllocator(0, nullptr) {}

  void* allocate(std::size_t size, std::size_t alignment) override {
    if (!isPowerOf2(alignment)) return nullptr;
    const auto aligned = static_cast<std::align_val_t>(std::max(alignment, kDefaultAlignment));
    Block block(operator new(std::max<std::size_t>(size, 1), aligned, std::nothrow), Free{aligned});
    if (!block) return nullptr;
    blocks_.push_back(std::move(block));
    return blocks_.back().get();
  }

  void reset() override { blocks_.clear(); }

 private:
  struct Free {
    std::align_val_t alignment{};
    void operator()(void* block) const { operator delete(block, alignment); }
  };
  using Block = std::unique_ptr<void, Free>;

  std::vector<Block> blocks_;
};

}  // namespace et
