// Reading a file whole, by descriptors: what was opened is what is looked at.
#include "reviewrate/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "descriptor.h"

namespace reviewrate {

std::string read_file(const std::string& path, std::size_t limit, ErrorKind kind) {
  const auto fail = [&](const std::string& why) { throw Error(kind, path + ": " + why); };
  const auto fail_by_errno = [&](const char* what) {
    fail(std::string(what) + ": " + std::generic_category().message(errno));
  };
  // O_NONBLOCK: opening a named pipe must not wait for a writer.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  struct stat info = {};
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0) fail_by_errno("cannot be opened");
  if (!S_ISREG(info.st_mode)) fail("is not a regular file");
  const std::string too_large = "is larger than " + std::to_string(limit) + " bytes";
  if (static_cast<std::uintmax_t>(info.st_size) > limit) fail(too_large);
  // One byte more than it seems to have: the read that finds the end then needs no further growth.
  std::string bytes(static_cast<std::size_t>(info.st_size) + 1, '\0');
  std::size_t size = 0;
  while (true) {
    const ssize_t got = ::read(file.get(), bytes.data() + size, bytes.size() - size);
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_by_errno("cannot be read");
    size += static_cast<std::size_t>(got);
    if (size > limit) fail(too_large);
    if (size == bytes.size()) bytes.resize(std::min(2 * size, limit + 1));
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace reviewrate
