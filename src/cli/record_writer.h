// The end of the pipeline: records to stdout or a file, whole and checked.
#pragma once

#include <cstddef>
#include <string>

#include "reviewrate/output.h"
#include "reviewrate/pipeline.h"

namespace reviewrate::cli {

/// A file descriptor that is written to, with its name for errors. Every byte is accounted for.
class OutputStream {
 public:
  /// Opens (and empties) `path`; an empty path is stdout. Throws Error(output).
  explicit OutputStream(const std::string& path);
  ~OutputStream();
  OutputStream(const OutputStream&) = delete;
  OutputStream& operator=(const OutputStream&) = delete;

  /// Writes all of `bytes`. Throws Error(output).
  void write(const std::string& bytes);

  /// Closes it; some file systems report a full disk only here. Throws Error(output).
  void close();

  int fd() const { return fd_; }

 private:
  [[noreturn]] void fail(const char* what) const;

  std::string name_;
  int fd_ = -1;
};

/// Formats outcomes and hands them on at each flush. Throws Error(output).
class RecordWriter : public Sink {
 public:
  RecordWriter(OutputStream& stream, const Formatter& formatter) : stream_(stream), formatter_(formatter) {
    buffer_ = formatter.header();
  }

  void write(const Outcome& outcome) override;
  void flush() override;

  std::size_t records() const { return records_; }
  std::size_t failures() const { return failures_; }

 private:
  OutputStream& stream_;
  const Formatter& formatter_;
  std::string buffer_;
  std::size_t records_ = 0;
  std::size_t failures_ = 0;
};

}  // namespace reviewrate::cli
