// What lets an interrupted `-o FILE` go on: a note beside the file that says which run is writing it, or has finished
// it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "reviewrate/formatter.h"
#include "written_records.h"

namespace reviewrate::cli {

/// The note FILE.resume. A file is complete if its note says so and its checksum is the note's; it can be gone on with
/// if its note says that a run with the same model, options and inputs is writing it. A note is JSON; it is replaced as
/// a whole, never changed in place, and what is not this program's note is never touched.
class Journal {
 public:
  /// What settles the bytes of an output file.
  struct Run {
    nlohmann::json options;          ///< model and options
    std::vector<std::string> files;  ///< the inputs
    std::vector<std::string> skip;   ///< what is not read in folders
    RecordShape records;             ///< what is written
  };

  /// `output` is the file. With `required` (--resume) all inputs get a checksum, otherwise small ones alone. Throws
  /// Error(output) where what has the note's name is none, and it is `required`.
  Journal(const std::string& output, Run run, bool required);

  /// The note of an output file: beside it, links followed.
  static std::string path(const std::string& output);

  /// Whether the note's name is free, or it is a note.
  static bool is_ours(const std::string& output);

  /// Whether the note says that a run has begun the file and not finished it.
  bool was_interrupted() const;

  /// How far the file is, by its note.
  struct Progress {
    WrittenRecords written;
    std::optional<int> finished;  ///< the exit status of the run that has finished it
  };

  /// For --resume, with the file open and locked. Throws Error(output) if the file holds anything that is not this
  /// run's, or is finished and was changed.
  Progress resume();

  /// Notes that FILE, which is not empty, is about to be emptied. Throws Error(output) if it is required.
  void starting();

  /// Notes that FILE holds nothing but this run's records. Throws Error(output) if it is required.
  void running();

  /// Notes that FILE, which is on the disk, is complete and what the program's exit status is; or, where the note is
  /// not `required`, removes it. Throws Error(output).
  void finish(int status);

  /// Whether there is a note.
  bool noted() const { return noted_; }

 private:
  void write(const char* state, nlohmann::json output);
  void check_same_run(const nlohmann::json& note);

  std::string output_;
  std::string path_;
  Run run_;
  bool required_;
  bool existed_ = false;   // the output was there before this run
  bool ours_ = false;      // the name is free or a note
  bool noted_ = false;     // this run's note is there
  nlohmann::json inputs_;  // fingerprints
};

}  // namespace reviewrate::cli
