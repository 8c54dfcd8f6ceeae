// A file descriptor that is written to, with every byte accounted for.
#pragma once

#include <cstdint>
#include <string>

namespace reviewrate {

/// Where results go: stdout or a file.
class OutputStream {
 public:
  /// Opens `path`, emptying it unless `keep`; an empty path is stdout. Throws Error(output).
  explicit OutputStream(const std::string& path, bool keep = false);
  ~OutputStream();
  OutputStream(const OutputStream&) = delete;
  OutputStream& operator=(const OutputStream&) = delete;

  /// Keeps the file's first `size` bytes; what is written comes behind them. Throws Error(output).
  void truncate(std::uint64_t size);

  /// Writes all of `bytes`. Throws Error(output).
  void write(const std::string& bytes);

  /// Closes it; some file systems report a full disk only here. Throws Error(output).
  void close();

 private:
  [[noreturn]] void fail(const char* what) const;

  std::string name_;
  int fd_ = -1;
};

}  // namespace reviewrate
