// Rows out of record batches, whatever those come from.
#pragma once

#include <arrow/ipc/options.h>
#include <arrow/record_batch.h>
#include <arrow/status.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arrow_module.h"

namespace reviewrate {

/// Throws InputFailure("damaged") with Arrow's own reason unless all is well.
void check(const arrow::Status& status);

template <typename T>
T take(arrow::Result<T> result) {
  check(result.status());
  return std::move(result).ValueUnsafe();
}

/// Where what is read is held. Refuses to hold more than 2 GiB, which no honest file needs.
arrow::MemoryPool* bounded_pool();

/// How batches are read; so that there is one thread.
arrow::ipc::IpcReadOptions ipc_options();

/// The column of that name, or of "a.b" the field b of a column of structs a, null wherever a is. Null: there is none.
std::shared_ptr<arrow::Array> column_of(const ArrowBatch& batch, const std::string& name);

/// Goes through batches row by row.
class BatchRows : public ArrowRows {
 public:
  const std::vector<std::string>* columns() const final { return schema_ ? &names_ : nullptr; }
  ArrowBatch types() const final { return take(arrow::RecordBatch::MakeEmpty(schema_, bounded_pool())); }
  bool select(const std::string& name) final;
  bool next(std::vector<std::optional<Value>>& cells) final;
  ArrowPlace place() const final { return {batch_, static_cast<std::size_t>(row_ - 1)}; }
  std::size_t nonfinite() const final { return nonfinite_; }

 protected:
  void set_schema(std::shared_ptr<arrow::Schema> schema);
  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }

  /// The columns that something was selected of, in order.
  std::vector<int> selected_columns() const;

  /// The next batch, of all columns or of the selected ones in order; null: none, or none yet.
  virtual std::shared_ptr<arrow::RecordBatch> next_batch() = 0;

 private:
  /// A selected column, and the fields of structs on the way down from it.
  struct Selected {
    int column;
    std::vector<int> fields;
    std::vector<std::shared_ptr<arrow::Array>> way = {};  ///< of the current batch: the column, ..., the values
  };

  void begin_batch(const arrow::RecordBatch& batch);

  std::shared_ptr<arrow::RecordBatch> batch_;  ///< the current one

  std::shared_ptr<arrow::Schema> schema_;
  std::vector<std::string> names_;
  std::vector<Selected> selected_;
  std::int64_t rows_ = 0;  ///< of the current batch
  std::int64_t row_ = 0;
  std::size_t nonfinite_ = 0;
};

std::unique_ptr<ArrowRows> open_parquet_rows(ByteFile& file);
std::unique_ptr<ArrowRows> open_file_rows(ByteFile& file);
std::unique_ptr<ArrowRows> open_stream_rows();
std::unique_ptr<ArrowWriter> make_arrow_writer(bool parquet, std::vector<ArrowColumn> columns);

}  // namespace reviewrate
