// Temporary files have names that nobody can guess or already has, and are removed by whom they belong to alone.
#include "reviewrate/output_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "../text/descriptor.h"
#include "reviewrate/error.h"
#include "reviewrate/output_stream.h"

namespace reviewrate {
namespace {

constexpr int kMostLinks = 40;  // as many as Linux follows

// What a signal handler has to remove; nothing where the first byte is 0.
std::array<char, PATH_MAX> g_temporary{};
std::atomic<bool> g_temporary_set{false};

[[noreturn]] void fail(const std::string& path, const char* what, int error) {
  throw Error(ErrorKind::output, path + ": " + what + ": " + std::generic_category().message(error));
}

/// Where the link `path` leads; empty if it is none.
std::string link_target(const std::string& path) {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::read_symlink(path, error);
  if (error) return {};
  return (std::filesystem::path(path).parent_path() / target).string();
}

std::optional<int> descriptor_number(const std::string& path) {
  if (path == "/dev/stdin") return STDIN_FILENO;
  if (path == "/dev/stdout") return STDOUT_FILENO;
  if (path == "/dev/stderr") return STDERR_FILENO;
  const std::string own = "/proc/" + std::to_string(::getpid()) + "/fd/";
  for (const std::string_view folder : {std::string_view("/dev/fd/"), std::string_view("/proc/self/fd/"),
                                        std::string_view("/proc/thread-self/fd/"), std::string_view(own)}) {
    if (!path.starts_with(folder)) continue;
    int number = 0;
    const auto [end, error] = std::from_chars(path.data() + folder.size(), path.data() + path.size(), number);
    if (error == std::errc() && end == path.data() + path.size() && number >= 0) return number;
  }
  return std::nullopt;
}

/// Gives 0, or the error's number.
int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  // Some file systems know no fsync.
  return ::fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP ? 0 : errno;
}

/// What a rename has changed in the folder is on the disk only after this.
void sync_folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const Descriptor fd(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() >= 0) static_cast<void>(::fsync(fd.get()));
}

}  // namespace

/// A file beside `path` with a name of its own; removed in the end unless it has been renamed.
class TemporaryFile {
 public:
  TemporaryFile(const std::string& path, mode_t mode) {
    std::array<unsigned char, 16> random{};
    if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) return;
    std::string name = ".reviewrate-";  // hidden, so that a walk passes it over
    for (const unsigned char byte : random) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      name += {kDigits[byte >> 4U], kDigits[byte & 15U]};
    }
    path_ = (std::filesystem::path(path).parent_path() / name).string();
    if (path_.size() >= g_temporary.size()) return;
    std::memcpy(g_temporary.data(), path_.c_str(), path_.size() + 1);
    g_temporary_set = true;
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd_ < 0) g_temporary_set = false;
  }
  ~TemporaryFile() {
    if (fd_ < 0) return;
    ::close(fd_);
    if (!renamed_) ::unlink(path_.c_str());
    g_temporary_set = false;
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::string& path() const { return path_; }

  /// -1 where none could be made.
  int fd() const { return fd_; }

  bool rename_to(const std::string& path) {
    renamed_ = ::rename(path_.c_str(), path.c_str()) == 0;
    return renamed_;
  }

 private:
  std::string path_;
  int fd_ = -1;
  bool renamed_ = false;
};

namespace {

/// Gives the file the name `path`, and what the file that had it, `before` if there was one, belonged to. False if that
/// cannot be.
bool rename(TemporaryFile& file, const std::string& path, const struct stat* before) {
  if (before != nullptr) {
    struct stat info = {};
    if (::fstat(file.fd(), &info) != 0) return false;
    const bool same_owner = info.st_uid == before->st_uid && info.st_gid == before->st_gid;
    if (!same_owner && ::fchown(file.fd(), before->st_uid, before->st_gid) != 0) return false;
    if (::fchmod(file.fd(), before->st_mode & 07777U) != 0) return false;
  }
  if (!file.rename_to(path)) return false;
  sync_folder_of(path);
  return true;
}

/// False if no temporary file can take the place of `path`, of which `before` tells if it is there. Throws
/// Error(output) if one could, but not be written.
bool replace(const std::string& path, const struct stat* before, const std::string& bytes) {
  TemporaryFile file(path, before == nullptr ? 0666 : 0600);
  if (file.fd() < 0) return false;
  if (const int error = write_all(file.fd(), bytes); error != 0) fail(path, "cannot be written", error);
  return rename(file, path, before);
}

void write_in_place(const std::string& path, const struct stat* before, const std::string& bytes) {
  Descriptor file(
      ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY | (before == nullptr ? O_CREAT | O_EXCL : 0), 0666));
  if (file.get() < 0) fail(path, "cannot be opened for writing", errno);
  const WriteInProgress write_in_progress;
  // A disk without room is noticed here, before anything is overwritten.
  const auto size = static_cast<off_t>(bytes.size());
  int error = size > 0 ? ::posix_fallocate(file.get(), 0, size) : 0;
  if (error == EOPNOTSUPP || error == EINVAL) error = 0;
  if (error != 0) {
    if (before == nullptr) {
      ::unlink(path.c_str());
    } else {
      static_cast<void>(!::ftruncate(file.get(), before->st_size));
    }
    fail(path, "cannot be written", error);
  }
  error = write_all(file.get(), bytes);
  if (error == 0 && ::ftruncate(file.get(), size) != 0) error = errno;
  if (error == 0 && ::close(file.release()) != 0 && errno != EINTR) error = errno;
  if (error != 0) fail(path, "cannot be written", error);
}

}  // namespace

std::optional<int> named_descriptor(const std::string& path) {
  if (path == "-") return STDOUT_FILENO;
  std::string name = path;
  for (int i = 0; i < kMostLinks && !name.empty(); ++i) {
    if (const auto number = descriptor_number(std::filesystem::path(name).lexically_normal().string())) return number;
    name = link_target(name);
  }
  return std::nullopt;
}

std::string follow_links(const std::string& path) {
  std::string name = path;
  for (int i = 0; i < kMostLinks; ++i) {
    std::string target = link_target(name);
    if (target.empty()) break;
    name = std::move(target);
  }
  return name;
}

void write_whole(const std::string& path, const std::string& bytes) {
  const std::string target = follow_links(path);
  struct stat info = {};
  const bool exists = !named_descriptor(path) && ::stat(target.c_str(), &info) == 0;
  if (named_descriptor(path) || (exists && !S_ISREG(info.st_mode))) {
    OutputStream stream(path);
    stream.write(bytes);
    stream.close();
    return;
  }
  // What may not be written to is not replaced either, though its folder would allow it.
  if (exists && ::faccessat(AT_FDCWD, target.c_str(), W_OK, AT_EACCESS) != 0) {
    fail(path, "cannot be opened for writing", errno);
  }
  const struct stat* before = exists ? &info : nullptr;
  const bool several_names = exists && info.st_nlink > 1;
  if (several_names || !replace(target, before, bytes)) write_in_place(target, before, bytes);
}

WholeFile::WholeFile(const std::string& path)
    : path_(path), file_(std::make_unique<TemporaryFile>(follow_links(path), 0666)) {
  if (file_->fd() < 0) fail(path, "cannot be written: no file can be made beside it", errno);
}

WholeFile::~WholeFile() = default;

const std::string& WholeFile::temporary() const { return file_->path(); }

void WholeFile::take_place() {
  const std::string target = follow_links(path_);
  struct stat info = {};
  const bool exists = ::stat(target.c_str(), &info) == 0;
  if (::fsync(file_->fd()) != 0 && errno != EINVAL && errno != ENOTSUP) fail(path_, "cannot be written", errno);
  if (!rename(*file_, target, exists ? &info : nullptr)) fail(path_, "cannot be replaced", errno);
}

void abandon_temporary_file() {
  if (g_temporary_set) ::unlink(g_temporary.data());
}

}  // namespace reviewrate
