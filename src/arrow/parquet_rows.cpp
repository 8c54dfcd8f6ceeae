// Parquet, a few rows at a time, so that memory is bounded by pages and rows and not by row groups.
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/file_reader.h>
#include <parquet/properties.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "input_file.h"
#include "rows.h"

namespace reviewrate {
namespace {

constexpr std::int64_t kBatchRows = 256;
constexpr std::int64_t kReadAhead = 256 * 1024;  // bytes of a column

class ParquetRows final : public BatchRows {
 public:
  explicit ParquetRows(ByteFile& file) : file_(std::make_shared<InputFile>(file)) {
    file_->guarded([&] {
      parquet::ReaderProperties properties(bounded_pool());
      properties.enable_buffered_stream();
      properties.set_buffer_size(kReadAhead);
      parquet::ArrowReaderProperties arrow_properties(/*use_threads=*/false);
      arrow_properties.set_batch_size(kBatchRows);
      arrow_properties.set_pre_buffer(false);
      parquet::arrow::FileReaderBuilder builder;
      check(builder.Open(file_, properties));
      builder.memory_pool(bounded_pool())->properties(arrow_properties);
      reader_ = take(builder.Build());
      std::shared_ptr<arrow::Schema> schema;
      check(reader_->GetSchema(&schema));
      set_schema(std::move(schema));
    });
  }

  void push(std::string_view) override {}
  void finish() override {}

 private:
  void begin() {
    std::vector<int> leaves;
    const parquet::SchemaDescriptor& descriptor = *reader_->parquet_reader()->metadata()->schema();
    const std::vector<int> wanted = selected_columns();
    for (int leaf = 0; leaf < descriptor.num_columns(); ++leaf) {
      const int column = descriptor.group_node()->FieldIndex(*descriptor.GetColumnRoot(leaf));
      if (std::binary_search(wanted.begin(), wanted.end(), column)) leaves.push_back(leaf);
    }
    std::vector<int> groups(static_cast<std::size_t>(reader_->num_row_groups()));
    std::iota(groups.begin(), groups.end(), 0);
    batches_ = take(reader_->GetRecordBatchReader(groups, leaves));
  }

  std::shared_ptr<arrow::RecordBatch> next_batch() override {
    std::shared_ptr<arrow::RecordBatch> batch;
    file_->guarded([&] {
      if (!batches_) begin();
      check(batches_->ReadNext(&batch));
    });
    return batch;
  }

  std::shared_ptr<InputFile> file_;
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;  // reads through reader_
};

}  // namespace

std::unique_ptr<ArrowRows> open_parquet_rows(ByteFile& file) { return std::make_unique<ParquetRows>(file); }

}  // namespace reviewrate
