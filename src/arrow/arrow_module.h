// What the program and the module that alone links Apache Arrow say to each other (src/arrow/module.cpp says why there
// is one). Both are built by the same compiler, so they share C++; none of Arrow's own types is seen here.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reviewrate/byte_stream.h"
#include "reviewrate/record.h"

namespace reviewrate {

/// The rows of a Parquet file or of an Arrow stream, from front to back. All throw InputFailure (byte_stream.h) where
/// the rest cannot be used; rows that came before the fault are given out first.
class ArrowRows {
 public:
  virtual ~ArrowRows() = default;

  /// Of a stream: takes its next bytes, all before the next row can be asked for.
  virtual void push(std::string_view bytes) = 0;

  /// Of a stream: no more will come.
  virtual void finish() = 0;

  /// What the columns are called; null: that is not known yet.
  virtual const std::vector<std::string>* columns() const = 0;

  /// The columns without rows; once they are known.
  virtual ArrowBatch types() const = 0;

  /// Asks for a column, or for the field b of a column of structs a by "a.b"; before the first row. False: there is no
  /// such.
  virtual bool select(const std::string& name) = 0;

  /// Fills `cells` with the next row's values of what was selected, in that order; empty are fields of structs that are
  /// null. Text may be no valid UTF-8. False: there is no row, or none yet.
  virtual bool next(std::vector<std::optional<Value>>& cells) = 0;

  /// Where the last row that next() gave stands.
  virtual ArrowPlace place() const = 0;

  /// How many NaN and infinities were given out as null.
  virtual std::size_t nonfinite() const = 0;
};

/// What ArrowModule::type_of() calls text. A column of this type can be written of whatever comes.
inline constexpr const char* kArrowText = "string";

/// What a column of the program's own holds. A failure is a struct of two texts, kind and message.
enum class ArrowType { text, real, rating, count, boolean, failure };

/// A column that is written.
struct ArrowColumn {
  std::string name;
  ArrowType type = ArrowType::text;
  std::string input = {};  ///< the column of the input that is carried, with its type where it has one; empty: our own
};

/// Makes a Parquet file or an Arrow stream of rows. Throws Error(output).
class ArrowWriter {
 public:
  virtual ~ArrowWriter() = default;

  /// Takes a row: a cell for each column, of which those that are carried are at `place` with their types. Appends to
  /// `out` what is due.
  virtual void add(const ArrowPlace& place, std::vector<std::optional<Value>> cells, std::string& out) = 0;

  /// Appends the rows that a stream's reader should have by now.
  virtual void flush(std::string& out) = 0;

  /// Appends the rest. `types` says of columns that no row has had what type they have in the input.
  virtual void finish(const ArrowBatch& types, std::string& out) = 0;
};

/// What the module gives.
class ArrowModule {
 public:
  virtual ~ArrowModule() = default;

  /// `file` must outlive the rows. Throws InputFailure.
  virtual std::unique_ptr<ArrowRows> open_parquet(ByteFile& file) const = 0;

  /// Arrow's IPC format as a file, such as Feather; the same.
  virtual std::unique_ptr<ArrowRows> open_file(ByteFile& file) const = 0;

  /// Arrow's IPC format as a stream.
  virtual std::unique_ptr<ArrowRows> open_stream() const = 0;

  virtual std::unique_ptr<ArrowWriter> make_writer(bool parquet, std::vector<ArrowColumn> columns) const = 0;

  /// What Arrow calls the type of a column, or of the field b of a column of structs a by "a.b". Empty: there is none.
  virtual std::string type_of(const ArrowBatch& batch, const std::string& column) const = 0;
};

/// The module, loaded when it is first asked for. Throws Error(environment) with what is missing.
const ArrowModule& arrow_module();

}  // namespace reviewrate

extern "C" {
/// Gives the module's one object, which lives as long as the program.
using ReviewrateOpenArrow = const reviewrate::ArrowModule* (*)();
}

/// The name of the function in the module.
inline constexpr const char* kOpenArrow = "reviewrate_open_arrow";
