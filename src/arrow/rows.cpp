// Batches are checked whole before a value of them is looked at: in a damaged file offsets may lead anywhere.
#include "rows.h"

#include <arrow/array.h>
#include <arrow/memory_pool.h>
#include <arrow/type.h>
#include <arrow/util/utf8.h>

#include <algorithm>
#include <set>
#include <utility>

#include "values.h"

namespace reviewrate {
namespace {

/// Strings as mere bytes: that some are no valid UTF-8 does not make a column unsafe.
std::shared_ptr<arrow::DataType> without_encoding(const std::shared_ptr<arrow::DataType>& type) {
  switch (type->id()) {
    case arrow::Type::STRING:
      return arrow::binary();
    case arrow::Type::LARGE_STRING:
      return arrow::large_binary();
    case arrow::Type::STRING_VIEW:
      return arrow::binary_view();
    default:
      return type;
  }
}

void check_array(const arrow::Array& array) {
  const std::shared_ptr<arrow::ArrayData> data = array.data()->Copy();
  data->type = without_encoding(array.type());
  check(arrow::MakeArray(data)->ValidateFull());
}

}  // namespace

void check(const arrow::Status& status) {
  if (status.ok()) return;
  const bool memory = status.IsOutOfMemory();
  if (status.message().find("ecrypt") != std::string::npos) {
    throw InputFailure("format", "is encrypted, at least in part, and is not read");
  }
  // Thrift, in which a Parquet file describes itself, is read up to a size: of more than some 100,000 columns, say.
  if (status.message().find("Exceeded size limit") != std::string::npos) {
    throw InputFailure("size",
                       "describes itself at greater length than is read: it has too many columns or row groups");
  }
  if (memory) {
    throw InputFailure("size",
                       "a part of it takes more than 2 GiB of memory: write it in smaller row groups or batches");
  }
  // The words of Thrift and its classes help nobody.
  const bool thrift =
      status.message().find("hrift") != std::string::npos || status.message().find("TProtocol") != std::string::npos;
  throw InputFailure("damaged",
                     "damaged, and not read any further: " +
                         (thrift ? "what it says of its own columns and pages cannot be read" : status.message()));
}

arrow::MemoryPool* bounded_pool() {
  constexpr std::int64_t kMost = std::int64_t{2} << 30;
  static arrow::CappedMemoryPool pool(arrow::system_memory_pool(), kMost);
  return &pool;
}

arrow::ipc::IpcReadOptions ipc_options() {
  arrow::ipc::IpcReadOptions options;
  options.memory_pool = bounded_pool();
  options.use_threads = false;
  return options;
}

std::shared_ptr<arrow::Array> column_of(const ArrowBatch& batch, const std::string& name) {
  if (!batch) return nullptr;
  const auto& rows = *static_cast<const arrow::RecordBatch*>(batch.get());
  if (std::shared_ptr<arrow::Array> column = rows.GetColumnByName(name)) return column;
  // As BatchRows::select() finds it.
  for (std::size_t point = name.find('.'); point != name.npos; point = name.find('.', point + 1)) {
    std::shared_ptr<arrow::Array> array = rows.GetColumnByName(name.substr(0, point));
    std::size_t begin = point + 1;
    while (array && begin <= name.size()) {
      const std::size_t end = std::min(name.find('.', begin), name.size());
      const int field =
          array->type_id() != arrow::Type::STRUCT
              ? -1
              : static_cast<const arrow::StructType&>(*array->type()).GetFieldIndex(name.substr(begin, end - begin));
      array = field < 0 ? nullptr
                        : take(static_cast<const arrow::StructArray&>(*array).GetFlattenedField(field, bounded_pool()));
      begin = end + 1;
    }
    if (array) return array;
  }
  return nullptr;
}

void BatchRows::set_schema(std::shared_ptr<arrow::Schema> schema) {
  std::set<std::string> seen;
  arrow::util::InitializeUTF8();
  for (const auto& field : schema->fields()) {
    if (!arrow::util::ValidateUTF8(field->name())) throw InputFailure("damaged", "a column's name is not UTF-8");
    if (!seen.insert(field->name()).second) {
      throw InputFailure("field", "the column \"" + field->name() + "\" comes twice");
    }
  }
  names_ = schema->field_names();
  schema_ = std::move(schema);
}

bool BatchRows::select(const std::string& name) {
  if (const int column = schema_->GetFieldIndex(name); column >= 0) {
    selected_.push_back({column, {}});
    return true;
  }
  // A column's name may itself have points.
  for (std::size_t point = name.find('.'); point != name.npos; point = name.find('.', point + 1)) {
    Selected selected{schema_->GetFieldIndex(name.substr(0, point)), {}};
    if (selected.column < 0) continue;
    std::shared_ptr<arrow::DataType> type = schema_->field(selected.column)->type();
    std::size_t begin = point + 1;
    while (begin <= name.size() && type->id() == arrow::Type::STRUCT) {
      const std::size_t end = std::min(name.find('.', begin), name.size());
      const int field = static_cast<const arrow::StructType&>(*type).GetFieldIndex(name.substr(begin, end - begin));
      if (field < 0) break;
      type = type->field(field)->type();
      selected.fields.push_back(field);
      begin = end + 1;
    }
    if (begin <= name.size()) continue;
    selected_.push_back(std::move(selected));
    return true;
  }
  return false;
}

std::vector<int> BatchRows::selected_columns() const {
  std::set<int> columns;
  for (const Selected& selected : selected_) columns.insert(selected.column);
  return {columns.begin(), columns.end()};
}

void BatchRows::begin_batch(const arrow::RecordBatch& batch) {
  const std::vector<int> columns = selected_columns();
  const bool all = batch.num_columns() == schema_->num_fields();
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::shared_ptr<arrow::Array> array = batch.column(all ? columns[i] : static_cast<int>(i));
    if (array->length() != batch.num_rows()) check(arrow::Status::Invalid("a column has not as many rows as others"));
    check_array(*array);
    for (Selected& selected : selected_) {
      if (selected.column != columns[i]) continue;
      selected.way = {array};
      for (const int field : selected.fields) {
        selected.way.push_back(static_cast<const arrow::StructArray&>(*selected.way.back()).field(field));
      }
    }
  }
  rows_ = batch.num_rows();
  row_ = 0;
}

bool BatchRows::next(std::vector<std::optional<Value>>& cells) {
  while (row_ == rows_) {
    for (Selected& selected : selected_) selected.way.clear();  // before more is read
    batch_.reset();
    rows_ = row_ = 0;
    batch_ = next_batch();
    if (!batch_) return false;
    begin_batch(*batch_);
  }
  cells.resize(selected_.size());
  for (std::size_t i = 0; i < selected_.size(); ++i) {
    const auto& way = selected_[i].way;
    const bool absent =
        std::any_of(way.begin(), way.end() - 1, [&](const auto& structs) { return structs->IsNull(row_); });
    cells[i].reset();
    if (!absent) cells[i] = arrow_value(*way.back(), row_, nonfinite_);
  }
  ++row_;
  return true;
}

}  // namespace reviewrate
