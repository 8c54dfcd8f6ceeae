// What lets an interrupted `-o FILE` go on: a note beside the file that says which run is writing it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "reviewrate/formatter.h"

namespace reviewrate::cli {

/// The whole records of an output file.
struct WrittenRecords {
  std::size_t records = 0;   ///< error records included, the header of csv and tsv not
  std::size_t failures = 0;  ///< error records among them
  std::uint64_t bytes = 0;   ///< up to the end of the last whole record (or header)
};

/// Counts by the format's own grammar: a quoted line break of csv ends no record. Throws Error(output).
WrittenRecords count_written(const std::string& path, OutputFormat format);

/// The note FILE.resume. It is there from before the first byte of FILE until after the last, so: a file without a note
/// is complete, and a note without a whole file says how the file came to be.
class Journal {
 public:
  /// `output` is the file. The rest settles what its bytes will be: `run` has model and options, `files` are the inputs
  /// (of folders all but what is to `skip`).
  Journal(const std::string& output, OutputFormat format, nlohmann::json run, const std::vector<std::string>& files,
          const std::vector<std::string>& skip);

  /// The note of an output file.
  static std::string path(const std::string& output) { return output + ".resume"; }

  /// Notes that FILE is about to be emptied. Throws Error(output).
  void starting() { write("starting"); }

  /// Notes that FILE holds nothing but this run's records. Throws Error(output).
  void running() { write("running"); }

  /// Forgets: FILE is complete.
  void complete();

  /// Where an interrupted run goes on; empty: FILE is complete, there is nothing to do.
  /// Throws Error(output) where the note is about another run.
  std::optional<WrittenRecords> resume() const;

 private:
  void write(const char* state);

  std::string output_;
  std::string path_;
  OutputFormat format_;
  std::string run_;  // JSON
};

}  // namespace reviewrate::cli
