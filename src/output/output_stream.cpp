// Writing with every error noticed.
#include "reviewrate/output_stream.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "reviewrate/error.h"

namespace reviewrate {

OutputStream::OutputStream(const std::string& path, bool keep)
    : name_(path.empty() ? "stdout" : path), fd_(STDOUT_FILENO) {
  if (path.empty()) return;
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | (keep ? 0 : O_TRUNC), 0666);
  if (fd_ < 0) fail("cannot be opened for writing");
}

OutputStream::~OutputStream() {
  if (fd_ > STDERR_FILENO) ::close(fd_);
}

void OutputStream::fail(const char* what) const {
  throw Error(ErrorKind::output, name_ + ": " + what + ": " + std::strerror(errno));
}

void OutputStream::truncate(std::uint64_t size) {
  if (::ftruncate(fd_, static_cast<off_t>(size)) != 0 || ::lseek(fd_, 0, SEEK_END) < 0) fail("cannot be truncated");
}

void OutputStream::write(const std::string& bytes) {
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

void OutputStream::close() {
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0 && errno != EINTR) fail("cannot be closed");
}

}  // namespace reviewrate
