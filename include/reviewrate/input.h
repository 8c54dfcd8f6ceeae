// From files, folders, archives, pipes and literal texts to a sequence of reviews.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "reviewrate/condition.h"
#include "reviewrate/record.h"

namespace reviewrate {

/// How records are told apart. `automatic` goes by the names of tables and JSON, else by content. `jsonl` is JSON of
/// any layout: a line each, over several lines, or in an array. `arrow` and `arrow_file` are Arrow's IPC format as a
/// stream and as a file; who asks for the one means either.
enum class InputFormat { automatic, lines, jsonl, csv, tsv, parquet, arrow, arrow_file, whole };

/// Whether a file of this format has an index at its end, without which nothing of it can be read.
inline bool has_index(InputFormat format) {
  return format == InputFormat::parquet || format == InputFormat::arrow_file;
}

/// What to read, and how; the command line's options of the same names.
struct InputOptions {
  InputFormat format = InputFormat::automatic;
  bool or_typed = false;  ///< what is Parquet or Arrow is read as such, whatever `format` is
  /// A field's name, or several with commas between, whose texts are joined by line breaks. Where it is "text", and
  /// there is no such field, the only one that has a usual name is taken (text_fields.h).
  std::string text_field = "text";
  std::string id_field = "id";
  std::vector<std::string> pass;      ///< columns to carry through; "*" is all the others
  bool pass_required = true;          ///< a name of `pass` that no record has is one of the findings' problems
  bool annotate = false;              ///< carry through every field, the text and the id too, in their order
  bool one_table = false;             ///< to annotate: records that do not have the first one's fields are bad
  bool one_type = false;              ///< records with a carried field of another type than the first one's are bad
  std::vector<std::string> reserved;  ///< to annotate: records with fields of these names are bad
  std::vector<std::string> include;   ///< globs for members and paths; empty: all
  std::vector<Condition> where;       ///< all must hold
  std::string encoding;               ///< as iconv names it; empty: UTF-8, or as a mark says
  bool header = true;                 ///< csv, tsv: the first row names the columns
  bool quoting = true;                ///< csv, tsv: quotes around a cell are no part of it
  /// csv, tsv: the byte between cells, or "auto": the usual one that fits the first line best. Empty: the format's own,
  /// or another usual one where only so there is a column for the text.
  std::string delimiter;
  std::string escape;  ///< csv, tsv: a byte that makes the next one an ordinary one; empty: none
  std::size_t max_review_bytes = std::size_t{1} << 20;
  std::optional<std::size_t> limit;                 ///< read no more records than these
  std::optional<std::size_t> sample;                ///< of those that are read, take as many by chance
  std::uint64_t seed = 1;                           ///< of that chance
  std::vector<std::string> skip = {"/dev/stdout"};  ///< passed over in folders: files that are written meanwhile
  /// Called once for each thing that a person should know as it comes up, such as a guess about a file's format: one
  /// line without a newline. From the thread that reads.
  std::function<void(const std::string&)> notify = [](const std::string&) {};
};

/// What can be said of the inputs only after they were read.
struct InputFindings {
  std::map<std::string, std::size_t> skipped;  ///< files that were passed over, by reason
  std::vector<std::string> problems;           ///< a line each; the run counts as failed (a named field in no record)
  std::vector<std::string> remarks;            ///< a line each; the run does not (a --where that matched nothing)
  std::size_t nonfinite = 0;                   ///< NaN and infinities in carried fields, written as null
  ArrowBatch types = {};                       ///< without rows: the columns of the first file that has types
};

/// Waits for a file descriptor on behalf of the reader; the program's own also watches signals and stdout.
class Waiter {
 public:
  enum class Event { ready, idle, interrupted };

  virtual ~Waiter() = default;

  /// Whether `fd` has something to read (or is at its end). Waits for that if `may_block`; else answers idle.
  virtual Event wait(int fd, bool may_block) = 0;

  /// Makes a wait(), the one that is going on or else the next one, answer interrupted. From any thread.
  virtual void wake() {}
};

/// A sequence of reviews, read once from front to back.
class Source {
 public:
  enum class Status {
    review,  ///< `review` was filled
    idle,    ///< nothing whole is there yet; only where the caller does not want to wait
    end,     ///< nothing more will come, or the waiter was interrupted
  };

  virtual ~Source() = default;

  /// Reads the next record into `review` (overwritten whole). Bad records are reviews with a failure.
  /// With `may_block` false, a slow stream answers idle instead of being waited for, even in the middle of a record.
  virtual Status next(Review& review, bool may_block) = 0;

  /// Makes a next() that waits return without a review: what was read is not wanted any more. From any thread.
  virtual void wake() {}

  /// Bytes of all inputs, 0 where that is not known (a pipe is among them).
  virtual std::uint64_t bytes_total() const = 0;

  /// To annotate: the names of the first record's fields, or of a table's columns if no record came. Empty until then.
  virtual std::vector<std::string> columns() const { return {}; }

  /// Of what was read so far; complete once next() has answered end.
  virtual InputFindings findings() const { return {}; }
};

/// The reviews of `texts` (ids text:1, text:2, ...), then those of `files`; "-" is stdin. Files are opened one by one
/// as they are reached; one that cannot be opened is a review with a failure. `waiter` must outlive the source. Throws
/// Error(usage) for options that contradict each other and an unknown encoding.
std::unique_ptr<Source> open_source(std::vector<std::string> texts, std::vector<std::string> files,
                                    const InputOptions& options, Waiter& waiter);

/// The reviews of `content`, which are the bytes of a file called `name`: text in any format and encoding. What is
/// compressed, an archive, Parquet or Arrow is a review with a failure. It never waits.
std::unique_ptr<Source> open_content(const std::string& name, std::string content, const InputOptions& options);

}  // namespace reviewrate
