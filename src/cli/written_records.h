// What an interrupted run has left in its output file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "reviewrate/formatter.h"

namespace reviewrate::cli {

/// The whole records of an output file.
struct WrittenRecords {
  std::size_t records = 0;   ///< error records included, the header of csv and tsv not
  std::size_t failures = 0;  ///< error records among them
  std::uint64_t bytes = 0;   ///< up to the end of the last whole record (or header)
};

/// Counts the records at the beginning of `path`, up to where a run was cut off: in the middle of a record, or, after a
/// power failure, where there are NULs. By the format's own grammar: a quoted line break of csv ends no record.
/// `header` is what stands before the first record. Throws Error(output) if the file holds anything that such a run has
/// not written.
WrittenRecords count_written(const std::string& path, OutputFormat format, const std::string& header);

}  // namespace reviewrate::cli
