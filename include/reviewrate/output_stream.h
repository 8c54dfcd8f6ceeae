// A file descriptor that is written to, with every byte accounted for.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace reviewrate {

/// While one lives, a regular file is being written: a signal handler that ends the program waits for it, so that the
/// file holds whole records or a whole report.
class WriteInProgress {
 public:
  WriteInProgress();
  ~WriteInProgress();
  WriteInProgress(const WriteInProgress&) = delete;
  WriteInProgress& operator=(const WriteInProgress&) = delete;

  /// For the signal handler: no other write begins from now on. Whether none is going on.
  static bool end_all();
};

/// How a file is compressed.
enum class Compression { none, gzip, zstd };

class Compressor;

/// Where results go: stdout or a file.
class OutputStream {
 public:
  /// Opens `path`, emptying it unless `keep`; stdout is an empty path or "-", and /dev/stdout, /dev/fd/N and their kin
  /// are the descriptors that the program was started with, neither emptied nor moved. A regular file is locked:
  /// another run that has it open is an error. Throws Error(output).
  explicit OutputStream(const std::string& path, bool keep = false, Compression compression = Compression::none);
  ~OutputStream();
  OutputStream(const OutputStream&) = delete;
  OutputStream& operator=(const OutputStream&) = delete;

  /// The bytes that a regular file has; 0 for anything else.
  std::uint64_t size() const;

  /// Whether what is written goes to a file or nowhere, and so before nobody's eyes.
  bool keeps_records() const;

  /// Keeps the file's first `size` bytes; what is written comes behind them. Throws Error(output).
  void truncate(std::uint64_t size);

  /// Writes all of `bytes`, or, if they are compressed, what can be decompressed so far. Throws Error(output).
  void write(const std::string& bytes);

  /// Waits until all is on the disk. Throws Error(output).
  void sync();

  /// Closes it; some file systems report a full disk only here. Throws Error(output).
  void close();

 private:
  [[noreturn]] void fail(const char* what) const;
  void write_as_is(const std::string& bytes);

  std::string name_;
  int fd_ = -1;
  bool regular_ = false;
  std::unique_ptr<Compressor> compressor_;
};

}  // namespace reviewrate
