// What an interrupted run has left in its output file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "reviewrate/formatter.h"

namespace reviewrate::cli {

/// How the records of an output file look.
struct RecordShape {
  OutputFormat format = OutputFormat::jsonl;
  std::string header;                   ///< what stands before the first record
  std::string begin;                    ///< jsonl: how each record begins
  std::vector<std::string> rated = {};  ///< jsonl: names that every record has that did not fail
  std::string failure;                  ///< the name that only failed records have, or have a value for
};

/// The whole records of an output file.
struct WrittenRecords {
  std::size_t records = 0;   ///< error records included, the header of csv and tsv not
  std::size_t failures = 0;  ///< error records among them
  std::uint64_t bytes = 0;   ///< up to the end of the last whole record (or header)
};

/// Counts the records at the beginning of `path`, up to where a run was cut off: in the middle of a record, or, after a
/// power failure, where there are NULs. By the format's own grammar: a quoted line break of csv ends no record.
/// Throws Error(output) if the file holds anything that such a run has not written.
WrittenRecords count_written(const std::string& path, const RecordShape& shape);

}  // namespace reviewrate::cli
