// The end of the pipeline: records to stdout or a file, whole and checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "reviewrate/formatter.h"
#include "reviewrate/pipeline.h"
#include "summary.h"

namespace reviewrate::cli {

/// A file descriptor that is written to, with its name for errors. Every byte is accounted for.
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

/// Formats outcomes and hands them on at each flush, counting and showing progress. Throws Error(output).
class RecordWriter : public Sink {
 public:
  /// `begun` is what stands in front of the first record: the formatter's header, or nothing where it is there already.
  RecordWriter(OutputStream& stream, const Formatter& formatter, std::string begun, Summary& summary, ProgressBar& bar)
      : stream_(stream), formatter_(formatter), buffer_(std::move(begun)), summary_(summary), bar_(bar) {}

  void write(const Outcome& outcome) override;
  void flush() override;

 private:
  OutputStream& stream_;
  const Formatter& formatter_;
  std::string buffer_;
  Summary& summary_;
  ProgressBar& bar_;
};

}  // namespace reviewrate::cli
