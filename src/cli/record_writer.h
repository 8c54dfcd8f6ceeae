// The end of the pipeline: records formatted and written, counted and shown as progress.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "console.h"
#include "reviewrate/formatter.h"
#include "reviewrate/output_stream.h"
#include "reviewrate/pipeline.h"
#include "summary.h"

namespace reviewrate::cli {

/// Formats outcomes and hands them on at each flush, counting, showing progress and telling the first failures. Throws
/// Error(output).
class RecordWriter : public Sink {
 public:
  /// `begun` is what stands in front of the first record: the formatter's header, or nothing where it is there already.
  /// As many failures as `told` are told on stderr when they come.
  RecordWriter(OutputStream& stream, Formatter& formatter, std::string begun, Summary& summary, ProgressBar& bar,
               std::size_t told)
      : stream_(stream), formatter_(formatter), buffer_(std::move(begun)), summary_(summary), bar_(bar), told_(told) {}

  void write(const Outcome& outcome) override {
    formatter_.append(outcome, buffer_);
    summary_.add(outcome);
    position_ = outcome.review.position;
    if (outcome.prediction || told_ == 0) return;
    --told_;
    print_notice(outcome.review.failure->message);
  }

  void flush() override {
    formatter_.flush(buffer_);
    if (!buffer_.empty()) stream_.write(buffer_);
    buffer_.clear();
    bar_.update(summary_.records, position_);
  }

  /// After the last record; `types` are InputFindings::types.
  void finish(const ArrowBatch& types) {
    formatter_.finish(types, buffer_);
    flush();
  }

 private:
  OutputStream& stream_;
  Formatter& formatter_;
  std::string buffer_;
  Summary& summary_;
  ProgressBar& bar_;
  std::size_t told_;
  std::uint64_t position_ = 0;
};

}  // namespace reviewrate::cli
