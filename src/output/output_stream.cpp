// Writing with every error noticed.
#include "reviewrate/output_stream.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "compressor.h"
#include "reviewrate/error.h"
#include "reviewrate/output_file.h"

namespace reviewrate {
namespace {

std::atomic<int> g_writes{0};
std::atomic<bool> g_no_more_writes{false};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

/// Whether the descriptor came with the program and can be written to. One that the program has opened itself under the
/// number that was named is closed on exec.
bool is_inherited_output(int fd) {
  const int mode = ::fcntl(fd, F_GETFL);
  const int flags = ::fcntl(fd, F_GETFD);
  return mode >= 0 && (mode & O_ACCMODE) != O_RDONLY && (flags & FD_CLOEXEC) == 0;
}

}  // namespace

WriteInProgress::WriteInProgress() {
  ++g_writes;
  if (!g_no_more_writes) return;
  --g_writes;
  while (true) ::pause();  // the program is about to end
}

WriteInProgress::~WriteInProgress() { --g_writes; }

bool WriteInProgress::end_all() {
  g_no_more_writes = true;
  return g_writes == 0;
}

OutputStream::OutputStream(const std::string& path, bool keep, Compression compression)
    : name_(path.empty() || path == "-" ? "stdout" : path),
      fd_(STDOUT_FILENO),
      compressor_(make_compressor(compression)) {
  const std::optional<int> inherited = path.empty() ? STDOUT_FILENO : named_descriptor(path);
  if (inherited) {
    fd_ = *inherited;
    errno = EBADF;
    if (fd_ > STDERR_FILENO && !is_inherited_output(fd_)) fail("cannot be opened for writing");
  } else {
    // With O_CREAT, Linux refuses somebody else's file in a folder that everybody may write to.
    fd_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd_ < 0 && errno == ENOENT) fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    if (fd_ < 0) fail("cannot be opened for writing");
  }
  struct stat info = {};
  regular_ = ::fstat(fd_, &info) == 0 && S_ISREG(info.st_mode);
  if (inherited || !regular_) return;
  // File systems that know no locks give other errors, and then there is none.
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(fd_);
    throw Error(ErrorKind::output, name_ + ": is being written by another run");
  }
  if (!keep) truncate(0);
}

OutputStream::~OutputStream() {
  if (fd_ > STDERR_FILENO) ::close(fd_);
}

void OutputStream::fail(const char* what) const {
  throw Error(ErrorKind::output, name_ + ": " + what + ": " + std::strerror(errno));
}

std::uint64_t OutputStream::size() const {
  struct stat info = {};
  return regular_ && ::fstat(fd_, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

bool OutputStream::keeps_records() const {
  struct stat info = {};
  return regular_ || (::fstat(fd_, &info) == 0 && S_ISCHR(info.st_mode) && ::isatty(fd_) == 0);
}

void OutputStream::truncate(std::uint64_t size) {
  if (::ftruncate(fd_, static_cast<off_t>(size)) != 0 || ::lseek(fd_, 0, SEEK_END) < 0) fail("cannot be truncated");
}

void OutputStream::write(const std::string& bytes) {
  if (!compressor_) return write_as_is(bytes);
  std::string compressed;
  compressor_->add(bytes, compressed);
  write_as_is(compressed);
}

void OutputStream::write_as_is(const std::string& bytes) {
  std::optional<WriteInProgress> write_in_progress;
  if (regular_) write_in_progress.emplace();
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const ssize_t written = ::write(fd_, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {  // somebody made our stdout non-blocking
      pollfd fd = {fd_, POLLOUT, 0};
      ::poll(&fd, 1, -1);
    } else if (errno != EINTR) {
      fail("cannot be written");
    }
  }
}

void OutputStream::sync() {
  if (::fsync(fd_) != 0 && errno != EINVAL && errno != ENOTSUP) fail("cannot be written");
}

void OutputStream::close() {
  if (compressor_) {
    std::string rest;
    compressor_->finish(rest);
    write_as_is(rest);
  }
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0 && errno != EINTR) fail("cannot be closed");
}

}  // namespace reviewrate
