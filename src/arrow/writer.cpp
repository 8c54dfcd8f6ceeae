// Rows are held until a row group or batch is full. Columns of the input go out as slices of the arrays they came in,
// so that their types and values stay what they are.
#include <arrow/array.h>
#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_nested.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/array/util.h>
#include <arrow/chunked_array.h>
#include <arrow/io/interfaces.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <parquet/arrow/writer.h>
#include <parquet/exception.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

#include "arrow_module.h"
#include "reviewrate/error.h"
#include "rows.h"

namespace reviewrate {
namespace {

constexpr std::size_t kGroupRows = std::size_t{1} << 16;
constexpr std::size_t kGroupBytes = std::size_t{64} << 20;  // of texts

using Columns = std::vector<ArrowColumn>;

void check_written(const arrow::Status& status) {
  if (!status.ok()) throw Error(ErrorKind::output, "the records cannot be written: " + status.message());
}

template <typename T>
T written(arrow::Result<T> result) {
  check_written(result.status());
  return std::move(result).ValueUnsafe();
}

/// Bytes that the program takes out in turn.
class Bytes final : public arrow::io::OutputStream {
 public:
  arrow::Status Write(const void* data, std::int64_t size) override {
    bytes_.append(static_cast<const char*>(data), static_cast<std::size_t>(size));
    position_ += size;
    return arrow::Status::OK();
  }
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  arrow::Result<std::int64_t> Tell() const override { return position_; }
  bool closed() const override { return closed_; }

  void move_to(std::string& out) {
    out += bytes_;
    bytes_.clear();
  }

 private:
  std::string bytes_;
  std::int64_t position_ = 0;
  bool closed_ = false;
};

std::shared_ptr<arrow::DataType> own_type(ArrowType type) {
  switch (type) {
    case ArrowType::real:
      return arrow::float64();
    case ArrowType::rating:
      return arrow::int8();
    case ArrowType::count:
      return arrow::int64();
    case ArrowType::boolean:
      return arrow::boolean();
    case ArrowType::failure:
      return arrow::struct_({arrow::field("kind", arrow::utf8()), arrow::field("message", arrow::utf8())});
    case ArrowType::text:
      break;
  }
  return arrow::utf8();
}

template <typename Number>
Number parsed(const std::string& text) {
  Number number{};
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

template <typename Builder>
Builder& as(arrow::ArrayBuilder& builder) {
  return static_cast<Builder&>(builder);
}

bool has_value(const std::optional<Value>& cell) { return cell && !(cell->json && cell->text == "null"); }

void append(const std::optional<Value>& cell, ArrowType type, arrow::ArrayBuilder& builder) {
  if (!has_value(cell)) return check_written(builder.AppendNull());
  switch (type) {
    case ArrowType::text:
      return check_written(as<arrow::StringBuilder>(builder).Append(cell->text));
    case ArrowType::real:
      return check_written(as<arrow::DoubleBuilder>(builder).Append(parsed<double>(cell->text)));
    case ArrowType::rating:
      return check_written(as<arrow::Int8Builder>(builder).Append(parsed<std::int8_t>(cell->text)));
    case ArrowType::count:
      return check_written(as<arrow::Int64Builder>(builder).Append(parsed<std::int64_t>(cell->text)));
    case ArrowType::boolean:
      return check_written(as<arrow::BooleanBuilder>(builder).Append(cell->text == "true"));
    case ArrowType::failure:
      break;
  }
  const nlohmann::json failure = nlohmann::json::parse(cell->text);
  check_written(as<arrow::StructBuilder>(builder).Append());
  int field = 0;
  for (const char* name : {"kind", "message"}) {
    check_written(as<arrow::StringBuilder>(*builder.child(field++)).Append(failure.at(name).get<std::string>()));
  }
}

struct Row {
  ArrowPlace place;
  std::vector<std::optional<Value>> cells;
};

class Writer final : public ArrowWriter {
 public:
  Writer(bool parquet, Columns columns)
      : parquet_(parquet), columns_(std::move(columns)), bytes_(std::make_shared<Bytes>()) {}

  void add(const ArrowPlace& place, std::vector<std::optional<Value>> cells, std::string& out) override {
    for (const std::optional<Value>& cell : cells) held_ += cell ? cell->text.size() : 0;
    rows_.push_back({place, std::move(cells)});
    if (rows_.size() >= kGroupRows || held_ >= kGroupBytes) write_rows(out);
  }

  void flush(std::string& out) override {
    if (!parquet_ && !rows_.empty()) write_rows(out);
  }

  void finish(const ArrowBatch& types, std::string& out) override {
    write_rows(out, types);
    if (parquet_) {
      check_written(parquet_writer_->Close());
    } else {
      check_written(stream_writer_->Close());
    }
    bytes_->move_to(out);
  }

 private:
  void write_rows(std::string& out, const ArrowBatch& types = nullptr) {
    try {
      if (!schema_) begin(types);
      if (!rows_.empty()) write_table();
    } catch (const Error&) {
      throw;
    } catch (const std::exception& e) {
      throw Error(ErrorKind::output, std::string("the records cannot be written: ") + e.what());
    }
    rows_.clear();
    held_ = 0;
    bytes_->move_to(out);
  }

  /// A column that is carried has the type that it has in the first record that has it, where that is of a table with
  /// types, or, if no record has it, in `types`; else it is text.
  void begin(const ArrowBatch& types) {
    arrow::FieldVector fields;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const ArrowColumn& column = columns_[i];
      ArrowBatch last;
      std::shared_ptr<arrow::Array> array;
      const auto has_it = [&](const Row& row) {
        if (!row.place.batch) return has_value(row.cells[i]);
        if (std::exchange(last, row.place.batch) != row.place.batch) array = column_of(row.place.batch, column.input);
        return array != nullptr;
      };
      if (!column.input.empty() && std::none_of(rows_.begin(), rows_.end(), has_it)) {
        array = column_of(types, column.input);
      }
      fields.push_back(arrow::field(column.name, array ? array->type() : own_type(column.type)));
    }
    schema_ = arrow::schema(fields);
    if (parquet_) {
      const auto properties = parquet::WriterProperties::Builder()
                                  .compression(parquet::Compression::ZSTD)
                                  ->memory_pool(bounded_pool())
                                  ->build();
      const auto keep_types = parquet::ArrowWriterProperties::Builder().store_schema()->build();
      parquet_writer_ =
          written(parquet::arrow::FileWriter::Open(*schema_, bounded_pool(), bytes_, properties, keep_types));
    } else {
      arrow::ipc::IpcWriteOptions options;
      options.memory_pool = bounded_pool();
      options.use_threads = false;
      stream_writer_ = written(arrow::ipc::MakeStreamWriter(bytes_, schema_, options));
    }
  }

  void write_table() {
    std::vector<std::shared_ptr<arrow::ChunkedArray>> arrays;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::shared_ptr<arrow::DataType>& type = schema_->field(static_cast<int>(i))->type();
      const bool text = columns_[i].input.empty() || type->ToString() == kArrowText;
      arrays.push_back(text ? built(i, type) : carried(i, type));
    }
    const auto table = arrow::Table::Make(schema_, std::move(arrays), static_cast<std::int64_t>(rows_.size()));
    if (parquet_) {
      check_written(parquet_writer_->WriteTable(*table, static_cast<std::int64_t>(kGroupRows)));
    } else {
      check_written(stream_writer_->WriteTable(*table));
    }
  }

  /// The column out of its cells.
  std::shared_ptr<arrow::ChunkedArray> built(std::size_t column, const std::shared_ptr<arrow::DataType>& type) const {
    std::unique_ptr<arrow::ArrayBuilder> builder = written(arrow::MakeBuilder(type, bounded_pool()));
    for (const Row& row : rows_) append(row.cells[column], columns_[column].type, *builder);
    return std::make_shared<arrow::ChunkedArray>(written(builder->Finish()));
  }

  /// The column out of slices of the input's.
  std::shared_ptr<arrow::ChunkedArray> carried(std::size_t column, const std::shared_ptr<arrow::DataType>& type) const {
    arrow::ArrayVector slices;
    ArrowBatch last;
    std::shared_ptr<arrow::Array> array;
    for (std::size_t i = 0; i < rows_.size();) {
      const Row& first = rows_[i];
      bool has_text = !first.place.batch && has_value(first.cells[column]);
      std::int64_t length = 1;
      while (i + static_cast<std::size_t>(length) < rows_.size()) {
        const Row& next = rows_[i + static_cast<std::size_t>(length)];
        const bool goes_on =
            next.place.batch == first.place.batch &&
            (!first.place.batch || next.place.row == first.place.row + static_cast<std::size_t>(length));
        if (!goes_on) break;
        has_text = has_text || (!next.place.batch && has_value(next.cells[column]));
        ++length;
      }
      if (i == 0 || first.place.batch != last) array = column_of(first.place.batch, columns_[column].input);
      last = first.place.batch;
      if (has_text || (array && !array->type()->Equals(*type))) {
        throw Error(ErrorKind::output, "the column \"" + columns_[column].name + "\" is " + type->ToString() +
                                           " in one input and " + (array ? array->type()->ToString() : "text") +
                                           " in another, and a column has one type: write jsonl, or two files");
      }
      slices.push_back(array ? array->Slice(static_cast<std::int64_t>(first.place.row), length)
                             : written(arrow::MakeArrayOfNull(type, length, bounded_pool())));
      i += static_cast<std::size_t>(length);
    }
    return std::make_shared<arrow::ChunkedArray>(std::move(slices), type);
  }

  const bool parquet_;
  const Columns columns_;
  std::shared_ptr<Bytes> bytes_;
  std::vector<Row> rows_;
  std::size_t held_ = 0;  // bytes of their cells
  std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<parquet::arrow::FileWriter> parquet_writer_;
  std::shared_ptr<arrow::ipc::RecordBatchWriter> stream_writer_;
};

}  // namespace

std::unique_ptr<ArrowWriter> make_arrow_writer(bool parquet, Columns columns) {
  return std::make_unique<Writer>(parquet, std::move(columns));
}

}  // namespace reviewrate
