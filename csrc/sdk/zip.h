// Zip files: their directory, checked, and one entry at a time out of them. Entries are stored or deflated.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <istream>
#include <map>
#include <memory>
#include <span>
#include <string>

namespace dp {

/// A file in a zip.
struct ZipEntry {
  std::uint64_t offset = 0;  ///< Of its local header.
  std::uint64_t packed = 0;  ///< Bytes in the zip.
  std::uint64_t size = 0;    ///< Bytes unpacked.
  std::uint32_t crc = 0;
  bool deflated = false;
};

class Zip {
 public:
  /// Reads the directory; throws Error of DP_BAD_BUNDLE where it is damaged, or holds what a bundle never does: links,
  /// encrypted files, two of one name. Names may be any; `shown` is what errors call the zip.
  Zip(std::unique_ptr<std::istream> stream, std::string shown);
  explicit Zip(const std::filesystem::path& file);

  /// By name; folders are left out.
  const std::map<std::string, ZipEntry>& entries() const { return entries_; }

  /// Whether the file ends with its directory, without a comment or hidden bytes.
  bool exact() const { return exact_; }

  /// What takes the bytes of an entry, piece by piece.
  using Take = std::function<void(std::span<const std::uint8_t>)>;

  /// Unpacks an entry, never more than its `size`; throws Error where it is damaged.
  void read(const std::string& name, const Take& take);

 private:
  struct Directory {
    std::uint64_t offset;
    std::uint64_t size;
    std::uint64_t count;
  };

  [[noreturn]] void refuse(const std::string& what) const;
  std::string bytes(std::uint64_t offset, std::uint64_t count);
  Directory find_directory();
  void read_directory(const Directory& directory);
  void add(const std::string& header, const std::string& name);
  void read_stored(std::uint64_t at, std::uint64_t count, const Take& take);
  void read_deflated(const std::string& name, std::uint64_t at, std::uint64_t count, const Take& take);
  std::uint64_t data_of(const std::string& name, const ZipEntry& entry);

  std::string shown_;
  std::unique_ptr<std::istream> stream_;
  std::uint64_t bytes_ = 0;
  std::uint64_t end_ = 0;  ///< Where the data of the entries ends.
  bool exact_ = false;
  std::map<std::string, ZipEntry> entries_;
};

}  // namespace dp
