// The fields that the program itself gives a record: their names, their order and their values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../arrow/arrow_module.h"
#include "reviewrate/formatter.h"

namespace reviewrate {

/// One of the fields.
struct OwnColumn {
  std::string_view name;
  /// Its value in a record; empty: it has none.
  std::optional<Value> (*value)(const Outcome& outcome, const std::vector<std::string>& labels);
  ArrowType type = ArrowType::text;
  const char* absent = "";  ///< what csv and tsv have in the place of none
};

/// The fields that `options` ask for, in order.
std::vector<OwnColumn> chosen_columns(const OutputOptions& options);

/// What passed fields are called: as they are if that name is free; else with as many "input_" before it as it takes.
/// Names that are free as they are go first.
std::vector<std::string> passed_names(const std::vector<std::string_view>& names);

/// Whether "id" is one of them.
bool has_id(const std::vector<std::string>& names);

/// What an own column is called in an annotated record.
std::string added_name(const OwnColumn& column, const OutputOptions& options);

/// Parquet and Arrow's IPC stream, whose columns have types.
std::unique_ptr<Formatter> make_arrow_formatter(const OutputOptions& options);

/// Names that no passed field may have, in whatever format.
std::vector<std::string_view> taken_names();

}  // namespace reviewrate
