// The program's file as Arrow wants it.
#pragma once

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <utility>

#include "rows.h"

namespace reviewrate {

/// Reads a ByteFile. What that throws is kept and thrown on this side of Arrow.
class InputFile final : public arrow::io::RandomAccessFile {
 public:
  explicit InputFile(ByteFile& file) : file_(file) {}

  arrow::Result<std::int64_t> GetSize() override { return static_cast<std::int64_t>(file_.size()); }

  arrow::Result<std::int64_t> ReadAt(std::int64_t position, std::int64_t size, void* out) override {
    const auto end = static_cast<std::int64_t>(file_.size());
    if (position < 0 || size < 0 || position > end) return arrow::Status::IOError("it points behind its end");
    const std::int64_t got = std::min(size, end - position);
    try {
      file_.read_at(static_cast<std::uint64_t>(position), {static_cast<char*>(out), static_cast<std::size_t>(got)});
    } catch (...) {
      failure_ = std::current_exception();
      return arrow::Status::IOError("cannot be read");
    }
    return got;
  }

  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(std::int64_t position, std::int64_t size) override {
    const auto end = static_cast<std::int64_t>(file_.size());
    if (position < 0 || size < 0 || position > end) return arrow::Status::IOError("it points behind its end");
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(std::min(size, end - position), bounded_pool()));
    ARROW_ASSIGN_OR_RAISE(const std::int64_t got, ReadAt(position, buffer->size(), buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(got));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }

  arrow::Result<std::int64_t> Read(std::int64_t size, void* out) override {
    ARROW_ASSIGN_OR_RAISE(const std::int64_t got, ReadAt(position_, size, out));
    position_ += got;
    return got;
  }

  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(std::int64_t size) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, ReadAt(position_, size));
    position_ += buffer->size();
    return buffer;
  }

  arrow::Status Seek(std::int64_t position) override {
    position_ = position;
    return arrow::Status::OK();
  }
  arrow::Result<std::int64_t> Tell() const override { return position_; }
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }

  /// Runs `step`, which reads from the file, and makes whatever goes wrong an InputFailure.
  template <typename Step>
  void guarded(const Step& step) {
    try {
      step();
    } catch (const InputFailure&) {
      rethrow();
      throw;
    } catch (const std::bad_alloc&) {
      check(arrow::Status::OutOfMemory(""));
    } catch (const std::exception& e) {
      rethrow();
      check(arrow::Status::Invalid(e.what()));
    }
  }

 private:
  /// Throws what the file has thrown.
  void rethrow() {
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

  ByteFile& file_;
  std::int64_t position_ = 0;
  bool closed_ = false;
  std::exception_ptr failure_;
};

}  // namespace reviewrate
