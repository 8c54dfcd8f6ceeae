// Values are what pyarrow's to_pylist() gives and json.dumps() makes of that, without its blanks; what JSON has no type
// for is text as Arrow prints it.
#include "values.h"

#include <arrow/array/array_run_end.h>
#include <arrow/extension_type.h>
#include <arrow/scalar.h>
#include <arrow/type_traits.h>
#include <arrow/util/base64.h>
#include <arrow/util/float16.h>
#include <arrow/util/formatting.h>
#include <arrow/util/ree_util.h>
#include <arrow/util/utf8.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "reviewrate/byte_stream.h"
#include "reviewrate/text.h"

namespace reviewrate {
namespace {

using arrow::Array;
using arrow::Type;

constexpr std::size_t kMostJson = std::size_t{64} << 20;

template <typename T>
auto get(const Array& array, std::int64_t row) {
  return static_cast<const typename arrow::TypeTraits<T>::ArrayType&>(array).GetView(row);
}

class ValueWriter {
 public:
  ValueWriter(std::string& out, std::size_t& nonfinite) : out_(out), nonfinite_(nonfinite) {}

  /// Whether what was appended is JSON.
  bool append(const Array& array, std::int64_t row) {
    if (array.IsNull(row)) return json("null");
    switch (array.type_id()) {
      case Type::STRING:
        return text(get<arrow::StringType>(array, row));
      case Type::LARGE_STRING:
        return text(get<arrow::LargeStringType>(array, row));
      case Type::STRING_VIEW:
        return text(get<arrow::StringViewType>(array, row));
      case Type::BINARY:
        return bytes(get<arrow::BinaryType>(array, row));
      case Type::LARGE_BINARY:
        return bytes(get<arrow::LargeBinaryType>(array, row));
      case Type::BINARY_VIEW:
        return bytes(get<arrow::BinaryViewType>(array, row));
      case Type::FIXED_SIZE_BINARY:
        return bytes(static_cast<const arrow::FixedSizeBinaryArray&>(array).GetView(row));
      case Type::BOOL:
        return json(get<arrow::BooleanType>(array, row) ? "true" : "false");
      case Type::INT8:
        return integer<arrow::Int8Type>(array, row);
      case Type::INT16:
        return integer<arrow::Int16Type>(array, row);
      case Type::INT32:
        return integer<arrow::Int32Type>(array, row);
      case Type::INT64:
        return integer<arrow::Int64Type>(array, row);
      case Type::UINT8:
        return integer<arrow::UInt8Type>(array, row);
      case Type::UINT16:
        return integer<arrow::UInt16Type>(array, row);
      case Type::UINT32:
        return integer<arrow::UInt32Type>(array, row);
      case Type::UINT64:
        return integer<arrow::UInt64Type>(array, row);
      case Type::DURATION:
        return integer<arrow::DurationType>(array, row);
      case Type::HALF_FLOAT:
        return number(arrow::util::Float16::FromBits(get<arrow::HalfFloatType>(array, row)).ToDouble());
      case Type::FLOAT:
        return number(get<arrow::FloatType>(array, row));
      case Type::DOUBLE:
        return number(get<arrow::DoubleType>(array, row));
      case Type::DECIMAL32:
        return json(static_cast<const arrow::Decimal32Array&>(array).FormatValue(row));
      case Type::DECIMAL64:
        return json(static_cast<const arrow::Decimal64Array&>(array).FormatValue(row));
      case Type::DECIMAL128:
        return json(static_cast<const arrow::Decimal128Array&>(array).FormatValue(row));
      case Type::DECIMAL256:
        return json(static_cast<const arrow::Decimal256Array&>(array).FormatValue(row));
      case Type::DATE32:
        return printed<arrow::Date32Type>(array, row);
      case Type::DATE64:
        return printed<arrow::Date64Type>(array, row);
      case Type::TIME32:
        return printed<arrow::Time32Type>(array, row);
      case Type::TIME64:
        return printed<arrow::Time64Type>(array, row);
      case Type::TIMESTAMP:
        return printed<arrow::TimestampType>(array, row);
      case Type::DICTIONARY: {
        const auto& dictionary = static_cast<const arrow::DictionaryArray&>(array);
        return append(*dictionary.dictionary(), dictionary.GetValueIndex(row));
      }
      case Type::RUN_END_ENCODED: {
        const auto& runs = static_cast<const arrow::RunEndEncodedArray&>(array);
        return append(*runs.values(), arrow::ree_util::FindPhysicalIndex(*runs.data(), row, runs.offset()));
      }
      case Type::EXTENSION:
        return append(*static_cast<const arrow::ExtensionArray&>(array).storage(), row);
      case Type::LIST:
        return list<arrow::ListArray>(array, row);
      case Type::LARGE_LIST:
        return list<arrow::LargeListArray>(array, row);
      case Type::LIST_VIEW:
        return list<arrow::ListViewArray>(array, row);
      case Type::LARGE_LIST_VIEW:
        return list<arrow::LargeListViewArray>(array, row);
      case Type::FIXED_SIZE_LIST:
        return list<arrow::FixedSizeListArray>(array, row);
      case Type::MAP:
        return map(static_cast<const arrow::MapArray&>(array), row);
      case Type::STRUCT:
        return object(static_cast<const arrow::StructArray&>(array), row);
      case Type::DENSE_UNION: {
        const auto& dense = static_cast<const arrow::DenseUnionArray&>(array);
        return append(*dense.field(dense.child_id(row)), dense.value_offset(row));
      }
      case Type::SPARSE_UNION: {
        const auto& sparse = static_cast<const arrow::SparseUnionArray&>(array);
        return append(*sparse.field(sparse.child_id(row)), row);
      }
      default: {
        const auto scalar = array.GetScalar(row);
        return text(scalar.ok() ? (*scalar)->ToString() : "");
      }
    }
  }

 private:
  bool text(std::string_view value) {
    out_ += value;
    return false;
  }

  bool json(std::string_view value) {
    out_ += value;
    return true;
  }

  bool bytes(std::string_view value) {
    arrow::util::InitializeUTF8();
    if (arrow::util::ValidateUTF8(value)) return text(value);
    return json('"' + arrow::util::base64_encode(value) + '"');
  }

  template <typename T>
  bool integer(const Array& array, std::int64_t row) {
    return json(std::to_string(get<T>(array, row)));
  }

  bool number(double value) {
    if (!std::isfinite(value)) {
      ++nonfinite_;
      return json("null");
    }
    std::string shown = shortest(value);
    if (shown.find_first_of(".e") == std::string::npos) shown += ".0";
    return json(shown);
  }

  template <typename T>
  bool printed(const Array& array, std::int64_t row) {
    arrow::internal::StringFormatter<T> format(array.type().get());
    format(get<T>(array, row), [&](std::string_view shown) { out_ += shown; });
    return false;
  }

  /// As a part of JSON.
  void nested(const Array& array, std::int64_t row) {
    const std::size_t begin = out_.size();
    if (!append(array, row)) quote(begin);
    if (out_.size() > kMostJson) throw InputFailure("size", "has a nested value of more than 64 MiB");
  }

  /// Makes what was appended since `begin` a JSON string.
  void quote(std::size_t begin) {
    const std::string quoted = nlohmann::json(out_.substr(begin))
                                   .dump(-1, ' ', /*ensure_ascii=*/false, nlohmann::json::error_handler_t::replace);
    out_.replace(begin, out_.npos, quoted);
  }

  template <typename ListArray>
  bool list(const Array& array, std::int64_t row) {
    const auto& lists = static_cast<const ListArray&>(array);
    const std::int64_t begin = lists.value_offset(row);
    const std::int64_t length = lists.value_length(row);
    out_ += '[';
    for (std::int64_t i = 0; i < length; ++i) {
      if (i > 0) out_ += ',';
      nested(*lists.values(), begin + i);
    }
    out_ += ']';
    return true;
  }

  /// Pairs in an array, as keys need not be strings, nor different.
  bool map(const arrow::MapArray& maps, std::int64_t row) {
    out_ += '[';
    for (std::int64_t i = 0; i < maps.value_length(row); ++i) {
      out_ += i > 0 ? ",[" : "[";
      nested(*maps.keys(), maps.value_offset(row) + i);
      out_ += ',';
      nested(*maps.items(), maps.value_offset(row) + i);
      out_ += ']';
    }
    out_ += ']';
    return true;
  }

  bool object(const arrow::StructArray& structs, std::int64_t row) {
    out_ += '{';
    for (int i = 0; i < structs.num_fields(); ++i) {
      if (i > 0) out_ += ',';
      const std::size_t begin = out_.size();
      out_ += structs.struct_type()->field(i)->name();
      quote(begin);
      out_ += ':';
      nested(*structs.field(i), row);
    }
    out_ += '}';
    return true;
  }

  std::string& out_;
  std::size_t& nonfinite_;
};

}  // namespace

Value arrow_value(const Array& array, std::int64_t row, std::size_t& nonfinite) {
  Value value;
  value.json = ValueWriter(value.text, nonfinite).append(array, row);
  return value;
}

}  // namespace reviewrate
