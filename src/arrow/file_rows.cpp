// Arrow's IPC format as a file. Its index at the end says where batches and dictionaries are; not every writer has them
// one behind the other as in a stream.
#include <arrow/ipc/options.h>
#include <arrow/ipc/reader.h>

#include "input_file.h"
#include "rows.h"

namespace reviewrate {
namespace {

class FileRows final : public BatchRows {
 public:
  explicit FileRows(ByteFile& file) : file_(std::make_shared<InputFile>(file)) {
    file_->guarded([&] {
      reader_ = take(arrow::ipc::RecordBatchFileReader::Open(file_, ipc_options()));
      set_schema(reader_->schema());
    });
  }

  void push(std::string_view) override {}
  void finish() override {}

 private:
  std::shared_ptr<arrow::RecordBatch> next_batch() override {
    std::shared_ptr<arrow::RecordBatch> batch;
    file_->guarded([&] {
      if (next_ == 0) {  // now that it is known which columns are wanted
        arrow::ipc::IpcReadOptions options = ipc_options();
        options.included_fields = selected_columns();
        reader_ = take(arrow::ipc::RecordBatchFileReader::Open(file_, options));
      }
      if (next_ < reader_->num_record_batches()) batch = take(reader_->ReadRecordBatch(next_++));
    });
    return batch;
  }

  std::shared_ptr<InputFile> file_;
  std::shared_ptr<arrow::ipc::RecordBatchFileReader> reader_;
  int next_ = 0;
};

}  // namespace

std::unique_ptr<ArrowRows> open_file_rows(ByteFile& file) { return std::make_unique<FileRows>(file); }

}  // namespace reviewrate
