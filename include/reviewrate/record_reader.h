// From one file's bytes to reviews: lines, JSON, CSV and TSV, Parquet and Arrow, or the file as one review.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "reviewrate/input.h"
#include "reviewrate/record.h"

namespace reviewrate {

class ByteFile;

/// What a file is called.
struct Origin {
  std::string id;    ///< in its reviews' ids, "id" or "id:line"; valid UTF-8
  std::string path;  ///< in messages; bytes as they are
};

/// `name` as messages show it: as it is, or in double quotes and with \xNN for what is not UTF-8 where blanks or such
/// would not show.
std::string shown_name(const std::string& name);

/// `where: reason` on one line, in valid UTF-8 and without characters that steer a terminal, whatever stood in the two.
std::string failure_message(const std::string& where, const std::string& reason);

/// What was met of what the options ask for by name; each list is in the order of the options.
struct Tally {
  std::size_t records = 0;    ///< that were read to their end, those without fields too
  std::vector<bool> named;    ///< for each of named_fields(): whether a record had it
  std::vector<bool> matched;  ///< for each condition of InputOptions::where: whether a record fulfilled it
  std::vector<std::size_t> not_judged = {};  ///< for each condition: the records whose value is no number, as it must
  bool kept = false;                         ///< a record fulfilled them all
  std::size_t nonfinite = 0;                 ///< NaN and infinities in carried fields, which become null
  ArrowBatch types = {};                     ///< of Parquet and Arrow: the columns, without rows
  std::string remark = {};                   ///< what a person should know of these records; of one file

  void add(const Tally& other);
};

/// The fields that must be in some record: those of --where and --pass, and an --id-field that is not the usual one.
std::vector<std::string> named_fields(const InputOptions& options);

/// Cuts a file's bytes into reviews. Bytes are pushed in blocks of any size; the reviews do not depend on it.
class RecordReader {
 public:
  virtual ~RecordReader() = default;

  /// Takes bytes from the front of `input` until a record is whole: then fills `review` (fresh from its constructor)
  /// and returns true. False: `input` is used up; push more, or, if it was `last`, there are no more records. Bad
  /// records are reviews with a failure; those that InputOptions::where leaves out are passed over. Keeps at most
  /// about the largest allowed record. Throws InputFailure (byte_stream.h) if the rest of the file cannot be used.
  virtual bool next(std::string_view& input, bool last, Review& review) = 0;

  /// Bytes that were taken from an input and not yet made records of; none of a bad record, whose rest is passed over.
  virtual std::size_t waiting() const { return 0; }

  /// Of a table, once its header was read: what its columns are called. Null: there are none.
  virtual const std::vector<std::string>* columns() const { return nullptr; }

  /// Of the records so far.
  virtual const Tally& tally() const = 0;
};

/// The reader for `format`, which must not be automatic. `options` must outlive it. What has an index is read from
/// `file` if there is one, which must outlive the reader: no bytes are pushed then but an empty last block. Throws
/// InputFailure for what cannot be opened.
std::unique_ptr<RecordReader> open_records(InputFormat format, Origin origin, const InputOptions& options,
                                           ByteFile* file = nullptr);

/// What bytes look like if they are read as JSON.
struct JsonEvidence {
  std::size_t objects = 0;  ///< objects with fields, or texts in an array: no plain text has those
  std::size_t texts = 0;    ///< how many of them have the text field
  std::size_t others = 0;   ///< records that are not JSON
  std::size_t damaged = 0;  ///< how many of them begin as an object with a field
  bool open = false;        ///< the bytes end within a record that is JSON so far
  bool begun = false;       ///< and that record has a field
};

/// Reads `bytes`, the beginning of a file or, if `last`, all of it.
JsonEvidence json_evidence(std::string_view bytes, bool last, const InputOptions& options);

/// Whether `text` has `name` in quotes with a colon behind it: a part of JSON, whatever is wrong with it.
bool has_json_member(std::string_view text, std::string_view name);

/// A review that stands for something that cannot be read.
Review failed_review(const Origin& origin, const std::string& kind, const std::string& reason);

}  // namespace reviewrate
