// From one file's bytes to reviews: lines, JSON Lines, CSV and TSV, or the file as one review.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "reviewrate/input.h"
#include "reviewrate/record.h"

namespace reviewrate {

/// What a file is called.
struct Origin {
  std::string id;    ///< in its reviews' ids, "id" or "id:line"
  std::string path;  ///< in messages
};

/// `where: reason` on one line and in valid UTF-8, whatever stood in the two.
std::string failure_message(const std::string& where, const std::string& reason);

/// Cuts a file's bytes into reviews. Bytes are pushed in blocks of any size; the reviews do not depend on it.
class RecordReader {
 public:
  virtual ~RecordReader() = default;

  /// Takes bytes from the front of `input` until a record is whole: then fills `review` (fresh from its constructor)
  /// and returns true. False: `input` is used up; push more, or, if it was `last`, there are no more records. Bad
  /// records are reviews with a failure; those that InputOptions::where leaves out are passed over. Keeps at most
  /// about the largest allowed record. Throws InputFailure (byte_stream.h) if the rest of the file cannot be used.
  virtual bool next(std::string_view& input, bool last, Review& review) = 0;
};

/// The reader for `format`, which must not be automatic. `options` must outlive it.
std::unique_ptr<RecordReader> open_records(InputFormat format, Origin origin, const InputOptions& options);

/// Whether `line` is a JSON object, as it would be read from JSON Lines.
bool is_json_object(std::string_view line);

/// The longest line of JSON Lines that can hold a text of the allowed size: every byte written as \uXXXX, and some more
/// for the other fields.
std::size_t max_json_line(const InputOptions& options);

/// A review that stands for something that cannot be read.
Review failed_review(const Origin& origin, const std::string& kind, const std::string& reason);

}  // namespace reviewrate
