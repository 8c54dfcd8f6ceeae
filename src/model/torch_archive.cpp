// Reading a zip archive's directory: APPNOTE.TXT 6.3.10, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT,
// sections 4.3.7 to 4.3.16 and 4.5.3 (zip64). All numbers are little-endian.
#include "torch_archive.h"

#include <array>
#include <cstdint>
#include <utility>

#include "reviewrate/error.h"

namespace reviewrate {
namespace {

constexpr std::uint64_t kMaxRecords = std::uint64_t{1} << 16;
constexpr std::uint64_t kMaxUnpacked = std::uint64_t{64} << 20;  // of all that is compressed

constexpr std::uint32_t kLocalHeader = 0x04034B50;
constexpr std::uint32_t kDirectoryHeader = 0x02014B50;
constexpr std::uint32_t kZip64End = 0x06064B50;
constexpr std::uint32_t kZip64Locator = 0x07064B50;
constexpr std::uint32_t kEnd = 0x06054B50;

constexpr std::uint64_t kLocalHeaderSize = 30;
constexpr std::uint64_t kDirectoryHeaderSize = 46;
constexpr std::uint64_t kZip64EndSize = 56;
constexpr std::uint64_t kZip64LocatorSize = 20;
constexpr std::uint64_t kEndSize = 22;
constexpr std::uint64_t kZip64Extra = 1;

constexpr std::uint64_t kKnownFlags = 1U << 3 | 1U << 11;  // sizes behind the data as well; names are UTF-8
constexpr std::uint64_t kStored = 0;
constexpr std::uint64_t kDeflated = 8;

/// A stretch of the file, with checked reads.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}

  std::uint64_t size() const { return bytes_.size(); }

  std::optional<std::string_view> part(std::uint64_t offset, std::uint64_t size) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) return std::nullopt;
    return bytes_.substr(offset, size);
  }

  /// A number of 2, 4 or 8 bytes; where the file ends before it, one that no check accepts.
  std::uint64_t number(std::uint64_t offset, unsigned size) const {
    const auto found = part(offset, size);
    if (!found) return UINT64_MAX;
    std::uint64_t value = 0;
    for (unsigned i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>((*found)[i]);
    return value;
  }

 private:
  std::string_view bytes_;
};

struct Directory {
  std::uint64_t offset;
  std::uint64_t records;
};

/// Where the directory stands, as the end of the file tells; by the zip64 form, which torch always writes, if it is
/// there.
std::optional<Directory> find_directory(const Bytes& file) {
  if (file.size() < kEndSize) return std::nullopt;
  const std::uint64_t end = file.size() - kEndSize;
  if (file.number(end, 4) != kEnd || file.number(end + 20, 2) != 0) return std::nullopt;
  if (end < kZip64LocatorSize || file.number(end - kZip64LocatorSize, 4) != kZip64Locator) {
    return Directory{file.number(end + 16, 4), file.number(end + 10, 2)};
  }
  const std::uint64_t zip64_end = file.number(end - kZip64LocatorSize + 8, 8);
  if (!file.part(zip64_end, kZip64EndSize) || file.number(zip64_end, 4) != kZip64End) return std::nullopt;
  return Directory{file.number(zip64_end + 48, 8), file.number(zip64_end + 32, 8)};
}

/// What the directory says of a record.
struct Entry {
  std::string_view path;
  std::string_view content;
  bool compressed;
  std::uint64_t unpacked_size;
  std::uint64_t next;  ///< where the next entry stands
};

/// Replaces the values that did not fit into 32 bits by those of the zip64 field. False: that field is damaged.
bool read_zip64(std::string_view extra_field, const std::array<std::uint64_t*, 3>& values) {
  const Bytes extra(extra_field);
  for (std::uint64_t begin = 0; begin < extra.size();) {
    if (!extra.part(begin, 4)) return false;
    const auto field = extra.part(begin + 4, extra.number(begin + 2, 2));
    if (!field) return false;
    if (extra.number(begin, 2) == kZip64Extra) {
      std::uint64_t at = 0;
      for (std::uint64_t* value : values) {
        if (*value != UINT32_MAX) continue;
        if (!Bytes(*field).part(at, 8)) return false;
        *value = Bytes(*field).number(at, 8);
        at += 8;
      }
    }
    begin += 4 + field->size();
  }
  return true;
}

std::optional<Entry> read_entry(const Bytes& file, std::uint64_t at) {
  if (!file.part(at, kDirectoryHeaderSize) || file.number(at, 4) != kDirectoryHeader) return std::nullopt;
  const std::uint64_t flags = file.number(at + 8, 2);
  const std::uint64_t method = file.number(at + 10, 2);
  const auto path = file.part(at + kDirectoryHeaderSize, file.number(at + 28, 2));
  if ((flags & ~kKnownFlags) != 0 || (method != kStored && method != kDeflated) || !path) return std::nullopt;
  const auto extra = file.part(at + kDirectoryHeaderSize + path->size(), file.number(at + 30, 2));
  std::uint64_t size = file.number(at + 24, 4);
  std::uint64_t packed_size = file.number(at + 20, 4);
  std::uint64_t local = file.number(at + 42, 4);
  if (!extra || !read_zip64(*extra, {&size, &packed_size, &local})) return std::nullopt;
  if (!file.part(local, kLocalHeaderSize) || file.number(local, 4) != kLocalHeader) return std::nullopt;
  const std::uint64_t begin = local + kLocalHeaderSize + file.number(local + 26, 2) + file.number(local + 28, 2);
  const auto content = file.part(begin, packed_size);
  if (!content || (method == kStored && size != packed_size)) return std::nullopt;
  return Entry{*path, *content, method == kDeflated, size,
               at + kDirectoryHeaderSize + path->size() + extra->size() + file.number(at + 32, 2)};
}

}  // namespace

TorchArchive::TorchArchive(std::string_view bytes, std::string name) : name_(std::move(name)) {
  const Bytes file(bytes);
  const auto directory = find_directory(file);
  if (!directory) fail("it is no zip archive, or cut off");
  if (directory->records > kMaxRecords) fail("it has more than " + std::to_string(kMaxRecords) + " records");
  std::uint64_t packed = 0;
  std::uint64_t unpacked = 0;
  std::uint64_t at = directory->offset;
  for (std::uint64_t i = 0; i < directory->records; ++i) {
    const auto entry = read_entry(file, at);
    const std::string record = "its record " + std::to_string(i);
    if (!entry) fail(record + " is damaged");
    packed += entry->content.size();
    if (packed > file.size()) fail("its records are larger than the file");
    if (entry->compressed) {
      if (entry->unpacked_size > kMaxUnpacked - unpacked) {
        fail("what is compressed in it expands to more than " + std::to_string(kMaxUnpacked) + " bytes");
      }
      unpacked += entry->unpacked_size;
    }
    const std::size_t slash = entry->path.find('/');
    if (i == 0) folder_ = entry->path.substr(0, slash);
    if (slash == std::string_view::npos || entry->path.substr(0, slash) != folder_) fail(record + " is in no folder");
    const bool added =
        records_.try_emplace(std::string(entry->path.substr(slash + 1)), Record{entry->content, entry->compressed})
            .second;
    if (!added) fail(record + " has the name of another");
    at = entry->next;
  }
}

void TorchArchive::fail(const std::string& why) const {
  throw Error(ErrorKind::model, name_ + ": cannot be loaded: " + why);
}

std::optional<std::string_view> TorchArchive::record(const std::string& path) const {
  const auto found = records_.find(path);
  if (found == records_.end() || found->second.compressed) return std::nullopt;
  return found->second.bytes;
}

}  // namespace reviewrate
