// The fields that the program itself gives a record: their names, their order and their values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reviewrate/formatter.h"

namespace reviewrate {

/// One of the fields.
struct OwnColumn {
  std::string_view name;
  /// Its value in a record; empty: it has none.
  std::optional<Value> (*value)(const Outcome& outcome, const std::vector<std::string>& labels);
  const char* absent = "";  ///< what a table has in the place of none
};

/// The fields of JSON records or of tables, in order.
std::vector<OwnColumn> own_columns(OutputFormat format);

/// The fields that `options` ask for, in order.
std::vector<OwnColumn> chosen_columns(const OutputOptions& options);

/// Names that no passed field may have, in whatever format.
std::vector<std::string_view> taken_names();

}  // namespace reviewrate
