// Bytes from descriptors, compressed streams and archives, pulled block by block and never held whole.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct archive;

namespace reviewrate {

class Waiter;

/// An input, or all that is left of it, cannot be read. Never leaves the Source, which puts one error record in its
/// place; what() is the reason without the input's name.
class InputFailure : public std::runtime_error {
 public:
  InputFailure(std::string kind, const std::string& reason) : std::runtime_error(reason), kind_(std::move(kind)) {}

  /// Failure::kind of the error record.
  const std::string& kind() const noexcept { return kind_; }

 private:
  std::string kind_;
};

/// Bytes, read once from front to back.
class ByteStream {
 public:
  enum class Status { data, idle, end, interrupted };

  virtual ~ByteStream() = default;

  /// Fills the front of `buffer` with at least one byte and sets `size` (data); or says that it would have to wait
  /// (idle, only without `may_block`), that all was read (end) or that the waiter was interrupted.
  /// Throws InputFailure; whatever could be read before the fault was given out by earlier calls.
  virtual Status read(std::span<char> buffer, std::size_t& size, bool may_block) = 0;
};

/// Reads a descriptor. The waiter is asked before each read.
class FdStream final : public ByteStream {
 public:
  /// Closes `fd` in the end if it is `owned`. Adds what it reads to `total`, too.
  FdStream(int fd, bool owned, Waiter& waiter, std::atomic<std::uint64_t>& total);
  ~FdStream() override;
  FdStream(const FdStream&) = delete;
  FdStream& operator=(const FdStream&) = delete;

  Status read(std::span<char> buffer, std::size_t& size, bool may_block) override;

  /// Bytes read so far; the reference is good as long as the stream.
  const std::uint64_t& bytes_read() const { return bytes_read_; }

 private:
  int fd_;
  bool owned_;
  Waiter& waiter_;
  std::atomic<std::uint64_t>& total_;
  std::uint64_t bytes_read_ = 0;
};

/// A stream whose beginning can be looked at before it is read.
class PeekStream final : public ByteStream {
 public:
  explicit PeekStream(std::unique_ptr<ByteStream> inner) : inner_(std::move(inner)) {}

  /// Reads ahead until seen() holds `wanted` bytes (data) or all there are (end), or as read() says.
  Status peek(std::size_t wanted, bool may_block);

  /// The bytes that the next read() will give.
  std::string_view seen() const { return std::string_view(seen_).substr(given_); }

  Status read(std::span<char> buffer, std::size_t& size, bool may_block) override;

 private:
  std::unique_ptr<ByteStream> inner_;
  std::string seen_;
  std::size_t given_ = 0;  // how much of seen_ was read
  bool ended_ = false;     // a terminal would wait again if it were asked again
};

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

/// What the first bytes of a stream say of its form.
enum class Compression { none, undecided, gzip, zstd, xz, bzip2, tar, zip };

/// The bytes that compression_of needs at most.
inline constexpr std::size_t kTarMagicEnd = 262;

/// Tells the form by magic bytes; undecided if `beginning` is too short but could become one, a tar's far-off magic
/// aside.
Compression compression_of(std::string_view beginning);

/// Expands gzip with one or more members; CRC and length are checked. Never waits in the middle of anything.
std::unique_ptr<ByteStream> open_gzip(std::unique_ptr<ByteStream> inner, ExpansionLimit limit);

/// Expands zstd, xz or bzip2 (with libarchive: see ArchiveReader on waiting).
std::unique_ptr<ByteStream> open_compressed(std::unique_ptr<ByteStream> inner, Compression compression,
                                            ExpansionLimit limit);

/// Reads a tar or zip archive front to back, or one compressed stream as an archive of one nameless member.
///
/// libarchive cannot be left in the middle of a step, so on a pipe may_block = false is an approximation: the pipe is
/// asked once before each step, but the step itself may then wait for more; decoders fill blocks of 64 to 128 KiB
/// before they give anything out. They also lose such a block when damage lies within it.
class ArchiveReader {
 public:
  /// What an archive says of a member.
  struct Member {
    std::string path;      ///< without a leading "./"; bytes as stored
    bool regular = false;  ///< a file with content
    bool link = false;     ///< stands for another member or file
  };

  ArchiveReader(std::unique_ptr<ByteStream> inner, Compression compression, ExpansionLimit limit);
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
  ByteStream::Status fetch(bool may_block);
  ByteStream::Status look_ahead();
  ByteStream::Status finish(bool may_block);
  ByteStream::Status fail(int code);

  std::unique_ptr<ByteStream> inner_;
  Compression compression_;
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
