#include "golden.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <string_view>
#include <utility>

#include "error.h"
#include "node.h"
#include "text.h"

namespace dp {
namespace {

constexpr std::uint64_t kMaxHeader = std::uint64_t{16} << 20;
constexpr std::int64_t kLengthBytes = 8;

dp_dtype dtype_of(const Node& node) {
  constexpr std::array<std::pair<const char*, dp_dtype>, 7> kNames = {{{"F32", DP_FLOAT32},
                                                                       {"F64", DP_FLOAT64},
                                                                       {"I8", DP_INT8},
                                                                       {"U8", DP_UINT8},
                                                                       {"I32", DP_INT32},
                                                                       {"I64", DP_INT64},
                                                                       {"BOOL", DP_BOOL}}};
  const std::string name = node.text();
  for (const auto& [known, dtype] : kNames) {
    if (name == known) return dtype;
  }
  node.refuse("there is no dtype '" + name + "'");
}

std::int64_t bytes_of(const Stored& stored, const Node& node) {
  std::int64_t bytes = 0;
  try {
    bytes = elements(stored.shape);
  } catch (const Error& error) {
    node.refuse(error.what());
  }
  if (__builtin_mul_overflow(bytes, static_cast<std::int64_t>(size_of(stored.dtype)), &bytes)) {
    node.refuse("The bytes of a tensor overflow");
  }
  return bytes;
}

/// A tensor of the header; its offset counts from the end of the header.
Stored stored_of(const Node& node) {
  Stored stored;
  stored.dtype = dtype_of(node.at("dtype"));
  for (const Node& size : node.at("shape").items()) stored.shape.push_back(size.integer());
  if (stored.shape.size() > DP_MAX_RANK) node.refuse("there are more than 8 axes");
  stored.bytes = bytes_of(stored, node);
  const std::vector<Node> offsets = node.at("data_offsets").items();
  if (offsets.size() != 2) node.refuse("there should be two offsets");
  stored.offset = offsets[0].integer();
  std::int64_t end = 0;
  const bool wrong = stored.offset < 0 || __builtin_add_overflow(stored.offset, stored.bytes, &end);
  if (wrong || end != offsets[1].integer()) node.refuse("its offsets do not fit its shape");
  if (stored.offset % static_cast<std::int64_t>(size_of(stored.dtype)) != 0) node.refuse("it is not aligned");
  return stored;
}

/// Throws Damaged unless the tensors fill the data one after the other, without a gap and without sharing a byte.
void check_places(const std::map<std::string, Stored>& tensors, std::int64_t data) {
  std::vector<std::pair<std::int64_t, std::int64_t>> places;
  places.reserve(tensors.size());
  for (const auto& [name, stored] : tensors) places.emplace_back(stored.offset, stored.bytes);
  std::sort(places.begin(), places.end());
  std::int64_t end = 0;
  for (const auto& [offset, bytes] : places) {
    if (offset != end) throw Damaged("its tensors overlap or leave gaps");
    end += bytes;
    if (end > data) throw Damaged("it is cut off");
  }
  if (end != data) throw Damaged("it has more bytes than its tensors");
}

std::int64_t size_of(std::istream& file) {
  file.seekg(0, std::ios::end);
  const std::streamoff size = file.tellg();
  file.seekg(0);
  if (!file || size < kLengthBytes) throw Damaged("it has no header");
  return size;
}

std::string read_text(std::istream& file, std::int64_t size) {
  std::array<unsigned char, kLengthBytes> length{};
  file.read(reinterpret_cast<char*>(length.data()), length.size());
  std::uint64_t bytes = 0;
  for (std::size_t i = length.size(); i-- > 0;) bytes = bytes << 8 | length.at(i);
  if (bytes > kMaxHeader) throw Damaged("its header is larger than 16 MB");
  if (bytes > static_cast<std::uint64_t>(size - kLengthBytes)) throw Damaged("its header is cut off");
  std::string text(static_cast<std::size_t>(bytes), '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file) throw Damaged("it cannot be read");
  return text;
}

/// The number before the first dot of a tensor's name.
std::size_t number_of(const std::string& name) {
  std::size_t number = 0;
  const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (failed != std::errc() || end == name.data() + name.size() || *end != '.') {
    throw Damaged("'" + name + "' does not begin with the number of a case");
  }
  return number;
}

std::string key(std::size_t number, const std::string& side, const std::string& name) {
  return std::to_string(number) + "." + side + "." + name;
}

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& what) {
  throw Error(DP_BAD_BUNDLE, file.filename().string() + " holds no golden vectors of it: " + what,
              "Build the bundle again.");
}

}  // namespace

std::map<std::string, Stored> read_header(std::istream& file) {
  const std::int64_t size = size_of(file);
  const std::string text = read_text(file, size);
  const nlohmann::json header = parse_json(text);
  const std::int64_t data = kLengthBytes + static_cast<std::int64_t>(text.size());
  std::map<std::string, Stored> tensors;
  for (const auto& [name, node] : Node(header, "").members()) {
    if (name != "__metadata__") tensors[name] = stored_of(node);
  }
  check_places(tensors, size - data);
  for (auto& [name, stored] : tensors) stored.offset += data;
  return tensors;
}

Golden::Golden(std::filesystem::path file, const Manifest& manifest)
    : file_(std::move(file)), inputs_(names_of(manifest.inputs)), outputs_(names_of(manifest.outputs)) {
  try {
    std::ifstream stream(file_, std::ios::binary);
    stored_ = read_header(stream);
    for (const auto& [name, stored] : stored_) count_ = std::max(count_, 1 + number_of(name));
    if (count_ == 0) throw Damaged("it has no tensors");
    check("inputs", inputs_);
    check("outputs", outputs_);
  } catch (const Damaged& error) {
    refuse(file_, error.what());
  }
}

void Golden::check(const std::string& side, const std::vector<std::string>& names) const {
  for (std::size_t number = 0; number < count_; ++number) {
    for (const std::string& name : names) {
      if (!stored_.contains(key(number, side, name))) throw Damaged("'" + key(number, side, name) + "'");
    }
  }
}

std::vector<Tensor> Golden::read(std::size_t number, const std::string& side,
                                 const std::vector<std::string>& names) const {
  std::ifstream stream(file_, std::ios::binary);
  std::vector<Tensor> tensors;
  for (const std::string& name : names) {
    const Stored& stored = stored_.at(key(number, side, name));
    Tensor tensor = allocate(stored.dtype, stored.shape);
    stream.seekg(stored.offset);
    stream.read(reinterpret_cast<char*>(tensor.bytes.data()), static_cast<std::streamsize>(tensor.bytes.size()));
    if (!stream) refuse(file_, "it was changed after it was checked");
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

}  // namespace dp
