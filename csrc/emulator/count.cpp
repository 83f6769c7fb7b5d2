// A plugin of QEMU's user mode that counts the instructions of an emulated program for 64-bit ARM, from one mark to the
// next. The program sets a mark by writing nothing to file 777, as `dp-bench --mark` does. Loaded by
//   qemu-aarch64 -plugin file=libcount.so,out=FILE ...
// it writes a number on a line of FILE at each mark: how many were executed since the one before it, or the start.
//
// One thread is counted right; several that run at once lose some of each other's instructions.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string_view>

// Version 1 of the plugin interface, of QEMU 6 to 8; distributions ship QEMU without the header.
extern "C" {
struct Block;  // qemu_plugin_tb: instructions that are translated together, and executed from the first to the last
using Id = std::uint64_t;
using OnTranslation = void (*)(Id, Block*);
using OnSystemCall = void (*)(Id, unsigned processor, std::int64_t number, std::uint64_t, std::uint64_t, std::uint64_t,
                              std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t);

std::size_t qemu_plugin_tb_n_insns(const Block* block);
void qemu_plugin_register_vcpu_tb_trans_cb(Id plugin, OnTranslation call);
void qemu_plugin_register_vcpu_syscall_cb(Id plugin, OnSystemCall call);
void qemu_plugin_register_vcpu_tb_exec_inline(Block* block, int operation, void* number, std::uint64_t operand);

[[gnu::visibility("default")]] extern const int qemu_plugin_version = 1;
[[gnu::visibility("default")]] int qemu_plugin_install(Id plugin, const void* emulator, int count, char** arguments);
}

namespace {

constexpr int kAdd = 0;  // QEMU_PLUGIN_INLINE_ADD_U64
constexpr std::int64_t kWrite = 64;
constexpr std::uint64_t kMark = 777;

std::FILE* out = nullptr;
std::uint64_t executed = 0;

void count_block(Id, Block* block) {
  qemu_plugin_register_vcpu_tb_exec_inline(block, kAdd, &executed, qemu_plugin_tb_n_insns(block));
}

void tell_at_mark(Id, unsigned, std::int64_t number, std::uint64_t file, std::uint64_t, std::uint64_t, std::uint64_t,
                  std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t) {
  if (number != kWrite || file != kMark) return;
  std::fprintf(out, "%llu\n", static_cast<unsigned long long>(executed));
  std::fflush(out);
  executed = 0;
}

}  // namespace

int qemu_plugin_install(Id plugin, const void*, int count, char** arguments) {
  constexpr std::string_view option = "out=";
  if (count != 1 || !std::string_view(arguments[0]).starts_with(option)) return 1;
  out = std::fopen(arguments[0] + option.size(), "w");
  if (out == nullptr) return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(plugin, count_block);
  qemu_plugin_register_vcpu_syscall_cb(plugin, tell_at_mark);
  return 0;
}
