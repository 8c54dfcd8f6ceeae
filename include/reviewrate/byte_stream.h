// Bytes, pulled block by block and never held whole; from descriptors here, from what is compressed in storage.h.
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

/// The waiter was interrupted where a file is read at any place. Never leaves the Source either, which ends then.
class ReadInterrupted : public std::exception {
 public:
  const char* what() const noexcept override { return "interrupted"; }
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

/// Bytes at any place of a file.
class ByteFile {
 public:
  virtual ~ByteFile() = default;

  virtual std::uint64_t size() const = 0;

  /// Fills `buffer` with the bytes from `position` on, which must all be there. Throws InputFailure and
  /// ReadInterrupted.
  virtual void read_at(std::uint64_t position, std::span<char> buffer) = 0;
};

/// Reads a descriptor. The waiter is asked before each read. A file that becomes shorter meanwhile is a failure.
class FdStream final : public ByteStream, public ByteFile {
 public:
  /// Closes `fd` in the end if it is `owned`. Adds what it reads to `total`, too.
  FdStream(int fd, bool owned, Waiter& waiter, std::atomic<std::uint64_t>& total);
  ~FdStream() override;
  FdStream(const FdStream&) = delete;
  FdStream& operator=(const FdStream&) = delete;

  Status read(std::span<char> buffer, std::size_t& size, bool may_block) override;

  /// Of a regular file; 0 for anything else.
  std::uint64_t size() const override { return size_at_first_; }
  void read_at(std::uint64_t position, std::span<char> buffer) override;

  /// Of a regular file: goes on reading at `position`. Throws InputFailure.
  void seek(std::uint64_t position);

  /// Bytes read so far; the reference is good as long as the stream.
  const std::uint64_t& bytes_read() const { return bytes_read_; }

 private:
  int fd_;
  bool owned_;
  Waiter& waiter_;
  std::atomic<std::uint64_t>& total_;
  std::uint64_t bytes_read_ = 0;
  std::uint64_t size_at_first_;  // of a regular file
};

/// A file without a name in the folder for temporary files (TMPDIR, else /tmp), gone with this object.
class NamelessFile final : public ByteFile {
 public:
  /// Throws InputFailure.
  NamelessFile();
  ~NamelessFile() override;
  NamelessFile(const NamelessFile&) = delete;
  NamelessFile& operator=(const NamelessFile&) = delete;

  /// Throws InputFailure.
  void append(std::string_view bytes);

  /// Its descriptor, which is the caller's from now on.
  int release() { return std::exchange(fd_, -1); }

  std::uint64_t size() const override { return size_; }
  void read_at(std::uint64_t position, std::span<char> buffer) override;

 private:
  [[noreturn]] void fail(const std::string& what) const;

  std::string folder_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

/// A stream whose beginning can be looked at before it is read.
class PeekStream final : public ByteStream {
 public:
  explicit PeekStream(std::unique_ptr<ByteStream> inner) : inner_(std::move(inner)) {}

  /// Reads ahead until seen() holds `wanted` bytes (data) or all there are (end), or as read() says. A failure behind
  /// bytes that were seen counts as their end, and comes up when they were read.
  Status peek(std::size_t wanted, bool may_block);

  /// The bytes that the next read() will give.
  std::string_view seen() const { return std::string_view(seen_).substr(given_); }

  Status read(std::span<char> buffer, std::size_t& size, bool may_block) override;

 private:
  std::unique_ptr<ByteStream> inner_;
  std::string seen_;
  std::size_t given_ = 0;       // how much of seen_ was read
  bool ended_ = false;          // a terminal would wait again if it were asked again
  std::exception_ptr failure_;  // comes up once seen_ was read
};

}  // namespace reviewrate
