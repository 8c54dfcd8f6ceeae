// Arrow's values as the program's: text, or JSON.
#pragma once

#include <arrow/array.h>

#include <cstddef>
#include <cstdint>

#include "reviewrate/record.h"

namespace reviewrate {

/// The value at `row`: strings, dates, times and the like as text, all else as JSON; bytes that are no text as a JSON
/// string in base64. `nonfinite` counts NaN and infinities, which become null. Throws InputFailure for JSON of more
/// than 64 MiB.
Value arrow_value(const arrow::Array& array, std::int64_t row, std::size_t& nonfinite);

}  // namespace reviewrate
