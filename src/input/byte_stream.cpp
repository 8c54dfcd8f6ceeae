// Streams over descriptors, and the look ahead into any stream.
#include "reviewrate/byte_stream.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <system_error>
#include <utility>

#include "reviewrate/input.h"

namespace reviewrate {
namespace {

using Status = ByteStream::Status;

constexpr std::size_t kPeekBlock = 4096;  // most files of a folder of reviews are smaller

/// Of a regular file; 0 for anything else.
std::uint64_t size_of(int fd) {
  struct stat info {};
  return fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? static_cast<std::uint64_t>(info.st_size) : 0;
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
      if (size_of(fd_) < size_at_first_) {
        throw InputFailure("read", "became shorter while it was read: what is missing cannot be told");
      }
      return Status::end;
    }
    // EAGAIN: someone else reads from the same pipe and was faster, so wait again.
    if (errno != EINTR && errno != EAGAIN) {
      throw InputFailure("read", "cannot be read: " + std::generic_category().message(errno));
    }
  }
}

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
    seen_ = std::string();
    given_ = 0;
  }
  return Status::data;
}

}  // namespace reviewrate
