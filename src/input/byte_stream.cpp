// Streams over descriptors, and the look ahead into any stream.
#include "reviewrate/byte_stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <exception>
#include <system_error>
#include <utility>

#include "reviewrate/input.h"
#include "reviewrate/text.h"

namespace reviewrate {
namespace {

using Status = ByteStream::Status;

constexpr std::size_t kPeekBlock = 4096;  // most files of a folder of reviews are smaller

/// Of a regular file; 0 for anything else.
std::uint64_t size_of(int fd) {
  struct stat info {};
  return fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? static_cast<std::uint64_t>(info.st_size) : 0;
}

[[noreturn]] void fail_shorter() {
  throw InputFailure("read", "became shorter while it was read: what is missing cannot be told");
}

[[noreturn]] void fail_to_read() {
  throw InputFailure("read", "cannot be read: " + std::generic_category().message(errno));
}

void read_whole(int fd, std::uint64_t position, std::span<char> buffer) {
  while (!buffer.empty()) {
    const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(position));
    if (got == 0) fail_shorter();
    if (got < 0 && errno != EINTR) fail_to_read();
    const auto size = static_cast<std::size_t>(got < 0 ? 0 : got);
    buffer = buffer.subspan(size);
    position += size;
  }
}

}  // namespace

FdStream::FdStream(int fd, bool owned, Waiter& waiter, std::atomic<std::uint64_t>& total)
    : fd_(fd), owned_(owned), waiter_(waiter), total_(total), size_at_first_(size_of(fd)) {}

FdStream::~FdStream() {
  if (owned_) close(fd_);
}

Status FdStream::read(std::span<char> buffer, std::size_t& size, bool may_block) {
  size = 0;
  for (;;) {
    const Waiter::Event event = waiter_.wait(fd_, may_block);
    if (event == Waiter::Event::idle) return Status::idle;
    if (event == Waiter::Event::interrupted) return Status::interrupted;
    const ssize_t got = ::read(fd_, buffer.data(), buffer.size());
    if (got > 0) {
      size = static_cast<std::size_t>(got);
      bytes_read_ += size;
      total_ += size;
      return Status::data;
    }
    if (got == 0) {
      if (size_of(fd_) < size_at_first_) fail_shorter();
      return Status::end;
    }
    // EAGAIN: someone else reads from the same pipe and was faster, so wait again.
    if (errno != EINTR && errno != EAGAIN) fail_to_read();
  }
}

void FdStream::read_at(std::uint64_t position, std::span<char> buffer) {
  if (waiter_.wait(fd_, /*may_block=*/false) == Waiter::Event::interrupted) throw ReadInterrupted();
  read_whole(fd_, position, buffer);
  bytes_read_ += buffer.size();
  total_ += buffer.size();
}

void FdStream::seek(std::uint64_t position) {
  if (::lseek(fd_, static_cast<off_t>(position), SEEK_SET) < 0) fail_to_read();
}

NamelessFile::NamelessFile() {
  const char* folder = std::getenv("TMPDIR");
  folder_ = folder == nullptr || *folder == '\0' ? "/tmp" : folder;
  fd_ = ::open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd_ >= 0) return;
  std::string name = folder_ + "/reviewrate-XXXXXX";  // some file systems only have files with names
  fd_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd_ < 0) fail("no file can be made in ");
  ::unlink(name.c_str());
}

NamelessFile::~NamelessFile() {
  if (fd_ >= 0) ::close(fd_);
}

void NamelessFile::fail(const std::string& what) const {
  throw InputFailure(
      "read", "cannot be kept for reading: " + what + folder_ + " (TMPDIR): " + std::generic_category().message(errno));
}

void NamelessFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("there is no room in ");
    bytes.remove_prefix(static_cast<std::size_t>(written));
    size_ += static_cast<std::uint64_t>(written);
  }
}

void NamelessFile::read_at(std::uint64_t position, std::span<char> buffer) { read_whole(fd_, position, buffer); }

Status PeekStream::peek(std::size_t wanted, bool may_block) {
  while (seen().size() < wanted) {
    if (ended_ || failure_) return Status::end;
    const std::size_t before = seen_.size();
    seen_.resize(before + kPeekBlock);
    std::size_t got = 0;
    Status status = Status::end;
    try {
      status = inner_->read(std::span(seen_).subspan(before), got, may_block);
    } catch (const InputFailure&) {
      seen_.resize(before);
      if (seen().empty()) throw;
      failure_ = std::current_exception();
      return Status::end;
    }
    seen_.resize(before + got);
    ended_ = status == Status::end;
    if (status != Status::data) return status;
  }
  return Status::data;
}

Status PeekStream::read(std::span<char> buffer, std::size_t& size, bool may_block) {
  if (given_ == seen_.size()) {
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    return ended_ ? Status::end : inner_->read(buffer, size, may_block);
  }
  size = seen().copy(buffer.data(), buffer.size());
  given_ += size;
  if (given_ == seen_.size()) {
    release(seen_);
    given_ = 0;
  }
  return Status::data;
}

}  // namespace reviewrate
