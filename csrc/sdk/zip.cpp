#include "zip.h"

#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <new>
#include <utility>
#include <vector>

#include "error.h"
#include "integrity.h"
#include "text.h"

namespace dp {
namespace {

// Signatures and fixed sizes of the three records (APPNOTE.TXT 4.3.7, 4.3.12 and 4.3.16).
constexpr std::uint32_t kLocal = 0x04034b50;
constexpr std::uint32_t kCentral = 0x02014b50;
constexpr std::uint32_t kEnd = 0x06054b50;
constexpr std::uint64_t kLocalBytes = 30;
constexpr std::uint64_t kCentralBytes = 46;
constexpr std::uint64_t kEndBytes = 22;
constexpr std::uint64_t kMaxComment = 0xffff;
constexpr std::uint64_t kMaxEntries = 10'000;
constexpr std::uint64_t kMaxDirectory = 4'000'000;
constexpr std::size_t kPiece = std::size_t{1} << 16;

std::uint32_t number(const std::string& bytes, std::size_t at, std::size_t count) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  }
  return value;
}

std::uint16_t u16(const std::string& bytes, std::size_t at) { return static_cast<std::uint16_t>(number(bytes, at, 2)); }
std::uint32_t u32(const std::string& bytes, std::size_t at) { return number(bytes, at, 4); }

/// Whether the file was packed on Unix as something else than a file or folder: a link, a device.
bool is_special(const std::string& header) {
  constexpr std::uint32_t kUnix = 3;
  constexpr std::uint32_t kKind = 0170000;
  const std::uint32_t kind = u32(header, 38) >> 16 & kKind;
  return header[5] == static_cast<char>(kUnix) && kind != 0 && kind != 0100000 && kind != 0040000;
}

/// Inflates raw deflate data.
class Inflater {
 public:
  Inflater() { ready_ = inflateInit2(&stream_, -MAX_WBITS) == Z_OK; }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream_); }

  void give(std::string& packed) {
    stream_.next_in = reinterpret_cast<Bytef*>(packed.data());
    stream_.avail_in = static_cast<uInt>(packed.size());
  }

  /// Fills a piece of the output; returns its size. Sets `ended` behind the last one; throws where the data is none.
  std::size_t take(std::vector<std::uint8_t>& piece) {
    stream_.next_out = piece.data();
    stream_.avail_out = static_cast<uInt>(piece.size());
    const int state = ready_ ? inflate(&stream_, Z_NO_FLUSH) : Z_MEM_ERROR;
    if (state == Z_MEM_ERROR) throw std::bad_alloc();
    ended_ = state == Z_STREAM_END;
    failed_ = state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR;
    return piece.size() - stream_.avail_out;
  }

  bool ended() const { return ended_; }
  bool failed() const { return failed_; }
  bool hungry() const { return stream_.avail_in == 0; }

 private:
  z_stream stream_{};
  bool ready_ = false;
  bool ended_ = false;
  bool failed_ = false;
};

}  // namespace

Zip::Zip(std::unique_ptr<std::istream> stream, std::string shown)
    : shown_(std::move(shown)), stream_(std::move(stream)) {
  stream_->seekg(0, std::ios::end);
  const std::streamoff size = stream_->tellg();
  if (!*stream_ || size < 0) refuse("it cannot be read");
  bytes_ = static_cast<std::uint64_t>(size);
  read_directory(find_directory());
}

Zip::Zip(const std::filesystem::path& file)
    : Zip(std::make_unique<std::ifstream>(file, std::ios::binary), file.string()) {}

void Zip::refuse(const std::string& what) const {
  throw Error(DP_BAD_BUNDLE, shown_ + " is not a whole zip: " + what, kGetAnother);
}

std::string Zip::bytes(std::uint64_t offset, std::uint64_t count) {
  if (offset > bytes_ || count > bytes_ - offset) refuse("the zip is cut off");
  std::string result(static_cast<std::size_t>(count), '\0');
  stream_->clear();
  stream_->seekg(static_cast<std::streamoff>(offset));
  stream_->read(result.data(), static_cast<std::streamsize>(count));
  if (!*stream_) refuse("it cannot be read");
  return result;
}

Zip::Directory Zip::find_directory() {
  const std::uint64_t tail = std::min(bytes_, kEndBytes + kMaxComment);
  const std::string text = bytes(bytes_ - tail, tail);
  if (text.size() < kEndBytes) refuse("it is no zip of a bundle");
  for (std::size_t at = text.size() - kEndBytes + 1; at-- > 0;) {
    if (u32(text, at) != kEnd || u16(text, at + 20) != text.size() - at - kEndBytes) continue;
    end_ = bytes_ - tail + at;
    const Directory directory{u32(text, at + 16), u32(text, at + 12), u16(text, at + 10)};
    if (directory.count == 0xffff || directory.offset == 0xffffffff || directory.size == 0xffffffff) {
      refuse("a zip of the kind zip64 is not read");
    }
    if (u16(text, at + 4) != 0 || u16(text, at + 6) != 0 || u16(text, at + 8) != directory.count) {
      refuse("it is one part of several");
    }
    return directory;
  }
  refuse("it is no zip of a bundle");
}

void Zip::read_directory(const Directory& directory) {
  if (directory.count > kMaxEntries || directory.size > kMaxDirectory) {
    const std::string most = std::to_string(kMaxEntries) + " are the most";
    throw Error(DP_BAD_BUNDLE, shown_ + " has " + std::to_string(directory.count) + " entries; " + most, kDistrust);
  }
  if (directory.offset > end_ || directory.size > end_ - directory.offset) refuse("its directory is cut off");
  const std::string all = bytes(directory.offset, directory.size);
  exact_ = directory.offset + directory.size == end_ && end_ + kEndBytes == bytes_;
  end_ = directory.offset;
  std::size_t at = 0;
  for (std::uint64_t i = 0; i < directory.count; ++i) {
    if (all.size() - at < kCentralBytes) refuse("its directory is cut off");
    const std::string header = all.substr(at, kCentralBytes);
    const std::size_t name = u16(header, 28);
    const std::size_t whole = kCentralBytes + name + u16(header, 30) + u16(header, 32);
    if (u32(header, 0) != kCentral || all.size() - at < whole) refuse("its directory is cut off");
    add(header, all.substr(at + kCentralBytes, name));
    at += whole;
  }
}

void Zip::add(const std::string& header, const std::string& name) {
  if (name.empty() || name.find('\0') != std::string::npos) refuse("a name is empty or has a zero byte");
  if (is_special(header)) throw Error(DP_BAD_BUNDLE, quoted(name) + " in " + shown_ + " is a link", kDistrust);
  const std::uint16_t method = u16(header, 10);
  if ((u16(header, 8) & 1) != 0 || (method != 0 && method != Z_DEFLATED)) {
    throw Error(DP_BAD_BUNDLE, quoted(name) + " in " + shown_ + " is neither stored nor deflated",
                "Write it with `deploypipe zip`.");
  }
  const ZipEntry entry{u32(header, 42), u32(header, 20), u32(header, 24), u32(header, 16), method == Z_DEFLATED};
  if (entry.packed == 0xffffffff || entry.size == 0xffffffff || entry.offset == 0xffffffff) {
    refuse("a zip of the kind zip64 is not read");
  }
  if (name.back() == '/' && entry.size == 0) return;
  if (entries_.emplace(name, entry).second) return;
  throw Error(DP_BAD_BUNDLE, shown_ + " holds " + quoted(name) + " twice", kDistrust);
}

/// Where the data of an entry begins; its local header says the same as the directory.
std::uint64_t Zip::data_of(const std::string& name, const ZipEntry& entry) {
  const std::string header = bytes(entry.offset, kLocalBytes);
  if (u32(header, 0) != kLocal || u16(header, 26) != name.size()) refuse(name + " is not where the directory says");
  if (bytes(entry.offset + kLocalBytes, name.size()) != name) refuse(name + " is not where the directory says");
  const std::uint64_t data = entry.offset + kLocalBytes + name.size() + u16(header, 28);
  if (data > end_ || entry.packed > end_ - data) refuse(name + " is cut off");
  return data;
}

void Zip::read(const std::string& name, const Take& take) {
  const ZipEntry entry = entries_.at(name);
  const std::uint64_t data = data_of(name, entry);
  std::uint64_t left = entry.size;
  uLong crc = crc32(0, nullptr, 0);
  const Take counted = [&](std::span<const std::uint8_t> piece) {
    if (piece.size() > left) refuse(name + " has more bytes than the directory says");
    left -= piece.size();
    crc = crc32(crc, piece.data(), static_cast<uInt>(piece.size()));
    take(piece);
  };
  if (entry.deflated) {
    read_deflated(name, data, entry.packed, counted);
  } else {
    read_stored(data, entry.packed, counted);
  }
  if (left != 0) refuse(name + " is cut off");
  if (crc != entry.crc) refuse(name + " has another checksum than the directory says");
}

void Zip::read_stored(std::uint64_t at, std::uint64_t count, const Take& take) {
  while (count > 0) {
    const std::string piece = bytes(at, std::min<std::uint64_t>(kPiece, count));
    take({reinterpret_cast<const std::uint8_t*>(piece.data()), piece.size()});
    at += piece.size();
    count -= piece.size();
  }
}

void Zip::read_deflated(const std::string& name, std::uint64_t at, std::uint64_t count, const Take& take) {
  Inflater inflater;
  std::vector<std::uint8_t> piece(kPiece);
  while (count > 0 && !inflater.ended()) {
    std::string packed = bytes(at, std::min<std::uint64_t>(kPiece, count));
    at += packed.size();
    count -= packed.size();
    inflater.give(packed);
    for (std::size_t got = piece.size(); got == piece.size() && !inflater.ended();) {
      got = inflater.take(piece);
      take({piece.data(), got});
    }
    if (inflater.failed()) refuse(name + " is not deflated data");
  }
  if (!inflater.ended() || !inflater.hungry() || count > 0) refuse(name + " is not deflated data");
}

}  // namespace dp
