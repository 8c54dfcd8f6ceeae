// Arrow's IPC format as a stream, read as it comes.
#include <arrow/buffer.h>
#include <arrow/ipc/reader.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "rows.h"

namespace reviewrate {
namespace {

constexpr std::int64_t kMostBody = std::int64_t{2} << 30;

/// What a decoder has made of the bytes so far.
class Decoded : public arrow::ipc::Listener {
 public:
  arrow::Status OnSchemaDecoded(std::shared_ptr<arrow::Schema> decoded) override {
    schema = std::move(decoded);
    return arrow::Status::OK();
  }
  arrow::Status OnRecordBatchDecoded(std::shared_ptr<arrow::RecordBatch> batch) override {
    batches.push_back(std::move(batch));
    return arrow::Status::OK();
  }
  arrow::Status OnEOS() override {
    ended = true;
    return arrow::Status::OK();
  }

  std::shared_ptr<arrow::Schema> schema;
  std::deque<std::shared_ptr<arrow::RecordBatch>> batches;
  bool ended = false;
};

class StreamRows final : public BatchRows {
 public:
  StreamRows() : decoded_(std::make_shared<Decoded>()), decoder_(decoded_, ipc_options()) {}

  void push(std::string_view bytes) override {
    // No more at a time than the decoder asks for, so that what follows the stream is told from it.
    while (!bytes.empty() && status_.ok() && !decoded_->ended) {
      const std::int64_t wanted = decoder_.next_required_size();
      if (wanted > kMostBody) status_ = arrow::Status::OutOfMemory("");
      if (!status_.ok()) break;
      const std::string_view piece = bytes.substr(0, static_cast<std::size_t>(std::max<std::int64_t>(wanted, 1)));
      consume(piece);
      bytes.remove_prefix(piece.size());
    }
    if (status_.ok() && !bytes.empty()) status_ = arrow::Status::Invalid("other data follows the stream");
    // Where there are dictionaries, the listener is told of the schema only once the first of them have come.
    if (const auto schema = decoded_->ended ? decoder_.schema() : decoded_->schema; !columns() && schema) {
      set_schema(schema);
    }
    if (!columns()) check(status_);  // else next() does, behind what came before
  }

  void finish() override {
    constexpr std::int64_t kLength = 4;  // is what a stream may end before
    const bool whole = decoded_->ended || (columns() && decoder_.next_required_size() == kLength);
    if (status_.ok() && !whole) status_ = arrow::Status::Invalid("it ends too early");
    if (!columns()) check(status_);
  }

 private:
  void consume(std::string_view piece) {
    try {
      std::shared_ptr<arrow::Buffer> buffer =
          take(arrow::AllocateBuffer(static_cast<std::int64_t>(piece.size()), bounded_pool()));
      std::copy(piece.begin(), piece.end(), reinterpret_cast<char*>(buffer->mutable_data()));
      status_ = decoder_.Consume(std::move(buffer));
    } catch (const InputFailure&) {
      throw;
    } catch (const std::exception& e) {
      status_ = arrow::Status::Invalid(e.what());
    }
  }

  std::shared_ptr<arrow::RecordBatch> next_batch() override {
    if (decoded_->batches.empty()) {
      check(status_);
      return nullptr;
    }
    const std::shared_ptr<arrow::RecordBatch> batch = std::move(decoded_->batches.front());
    decoded_->batches.pop_front();
    return batch;
  }

  std::shared_ptr<Decoded> decoded_;
  arrow::ipc::StreamDecoder decoder_;
  arrow::Status status_;  // what is wrong behind the batches that were decoded
};

}  // namespace

std::unique_ptr<ArrowRows> open_stream_rows() { return std::make_unique<StreamRows>(); }

}  // namespace reviewrate
