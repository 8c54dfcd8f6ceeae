// The forms in which files are stored: compressed streams and archives, opened as streams of bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "reviewrate/byte_stream.h"

struct archive;

namespace reviewrate {

/// Notices decompression bombs: more than 64 MiB that take up less than a 200th of that where they are stored.
class ExpansionLimit {
 public:
  /// `stored` counts the bytes read from the file, and must outlive the limit.
  explicit ExpansionLimit(const std::uint64_t& stored) : stored_(&stored) {}

  /// Throws InputFailure("bomb") when `size` more expanded bytes are too many.
  void add(std::size_t size);

 private:
  const std::uint64_t* stored_;
  std::uint64_t expanded_ = 0;
};

/// How a file's content is stored: plainly, compressed, or in an archive.
enum class StorageForm { plain, undecided, gzip, zstd, xz, bzip2, tar, zip };

/// The bytes that storage_form_of needs at most.
inline constexpr std::size_t kTarMagicEnd = 262;

/// Tells the form by magic bytes; undecided if `beginning` is too short but could become one, a tar's far-off magic
/// aside.
StorageForm storage_form_of(std::string_view beginning);

/// Expands a compressed stream. gzip may have several members, zstd several frames and skippable ones; checksums are
/// verified where there are any. gzip and zstd never wait in the middle of anything; xz and bzip2 go through libarchive
/// (see ArchiveReader on waiting).
std::unique_ptr<ByteStream> open_compressed(std::unique_ptr<ByteStream> inner, StorageForm form, ExpansionLimit limit);

/// Reads a tar or zip archive front to back, or an xz or bzip2 stream as an archive of one nameless member.
///
/// libarchive cannot be left in the middle of a step, so on a pipe may_block = false is an approximation: the pipe is
/// asked once before each step, but the step itself may then wait for more; decoders fill blocks of 64 to 128 KiB
/// before they give anything out. They also lose such a block when damage lies within it.
///
/// What a member of a zip is, such as a link, stands in the directory at the archive's end alone. Where that cannot be
/// reached, without a file or in a zip that is cut, a link is a file whose content is the path that it leads to.
class ArchiveReader {
 public:
  /// What an archive says of a member.
  struct Member {
    std::string path;      ///< with slashes between folders, without a leading "./"; otherwise bytes as stored
    bool regular = false;  ///< a file with content
    bool link = false;     ///< stands for another member or file
  };

  /// `file` is what `inner` reads from its beginning on, where that is a file: a zip's directory is looked up in it.
  ArchiveReader(std::unique_ptr<ByteStream> inner, StorageForm form, ExpansionLimit limit, FdStream* file = nullptr);
  ~ArchiveReader();
  ArchiveReader(const ArchiveReader&) = delete;
  ArchiveReader& operator=(const ArchiveReader&) = delete;

  /// Goes to the next member, past whatever was not read of the last one. Throws InputFailure.
  ByteStream::Status next(Member& member, bool may_block);

  /// Reads the member's content as ByteStream::read does.
  ByteStream::Status read(std::span<char> buffer, std::size_t& size, bool may_block);

  /// Whether the last InputFailure was the end of the whole archive and not of one member.
  bool broken() const { return broken_; }

 private:
  static std::ptrdiff_t pull(archive* handle, void* self, const void** block);
  static std::int64_t seek(archive* handle, void* self, std::int64_t offset, int whence);
  ByteStream::Status fetch(bool may_block);
  ByteStream::Status look_ahead();
  ByteStream::Status finish(bool may_block);
  ByteStream::Status fail(int code);

  std::unique_ptr<ByteStream> inner_;
  FdStream* seekable_ = nullptr;  // of a zip: is read in the place of inner_, which owns it
  StorageForm form_;
  ExpansionLimit limit_;
  archive* handle_;
  std::vector<char> held_;   // the block that libarchive looks at
  std::vector<char> ahead_;  // the block that it gets next
  std::size_t ahead_size_ = 0;
  std::uint64_t pulled_ = 0;          // bytes given to libarchive
  std::size_t zeros_ = 0;             // how many zero bytes the stream ended with so far
  bool inner_ended_ = false;          // inner_ has no more
  bool opened_ = false;               // libarchive has begun
  bool finished_ = false;             // libarchive saw the end
  bool broken_ = false;               // libarchive gave up
  bool interrupted_ = false;          // it gave up because the waiter was interrupted
  std::exception_ptr ahead_failure_;  // what inner_ threw instead of the block that libarchive gets next
  std::exception_ptr inner_failure_;  // it gave up because inner_ threw
  std::string_view block_;            // decoded, not yet read
  std::int64_t position_ = 0;         // in the member
};

/// The current member of `archive` as a stream of its own; good until the next call of next().
std::unique_ptr<ByteStream> open_member(ArchiveReader& archive);

}  // namespace reviewrate
