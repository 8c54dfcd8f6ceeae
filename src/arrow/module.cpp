// The module that alone links Apache Arrow: its two libraries take longer to load than a short text takes to be rated,
// and not every machine has them. src/arrow/load.cpp opens it when the first such file comes.
#include <arrow/array.h>

#include <utility>

#include "rows.h"

namespace reviewrate {
namespace {

class Module final : public ArrowModule {
 public:
  std::unique_ptr<ArrowRows> open_parquet(ByteFile& file) const override { return open_parquet_rows(file); }
  std::unique_ptr<ArrowRows> open_file(ByteFile& file) const override { return open_file_rows(file); }
  std::unique_ptr<ArrowRows> open_stream() const override { return open_stream_rows(); }
  std::unique_ptr<ArrowWriter> make_writer(bool parquet, std::vector<ArrowColumn> columns) const override {
    return make_arrow_writer(parquet, std::move(columns));
  }
  std::string type_of(const ArrowBatch& batch, const std::string& column) const override {
    const std::shared_ptr<arrow::Array> found = column_of(batch, column);
    return found ? found->type()->ToString() : "";
  }
};

}  // namespace
}  // namespace reviewrate

extern "C" __attribute__((visibility("default"))) const reviewrate::ArrowModule* reviewrate_open_arrow() {
  static const reviewrate::Module module;
  return &module;
}
