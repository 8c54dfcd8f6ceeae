// From the bytes of one file or member, which is neither compressed nor an archive, to its reviews.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "format_choice.h"
#include "reviewrate/byte_stream.h"
#include "reviewrate/record_reader.h"

namespace reviewrate {

/// What is known of content before its first byte is looked at.
struct ContentPlace {
  Origin origin;
  bool inside = false;        ///< it was found in a folder or archive
  bool decompressed = false;  ///< a compression was taken off
  ByteFile* file = nullptr;   ///< the same bytes, where they can be read at any place
};

/// Decodes what is not in UTF-8, chooses the format, and reads the records.
class ContentReader {
 public:
  enum class Status { review, idle, end, interrupted };

  /// `buffer` is what blocks are read into. All but `content` and `place` must outlive it.
  ContentReader(std::unique_ptr<PeekStream> content, ContentPlace place, const InputOptions& options,
                FormatChoice& choice, std::span<char> buffer);

  /// The next record, as Source::next gives it. Throws InputFailure for what is no text, or not what its name promises,
  /// and where the rest cannot be read.
  Status next(Review& review, bool may_block);

  /// What reads the records; null as long as their format is not known.
  const RecordReader* records() const { return records_.get(); }

  /// Whether the content is one review.
  bool is_whole() const { return whole_; }

  /// The encoding that a byte order mark says, where it is not UTF-8; else empty.
  const std::string& marked_encoding() const { return marked_encoding_; }

  /// Bytes that were taken from the content, decoded, and how many of them are no records yet.
  std::uint64_t given() const { return given_; }
  std::uint64_t waiting() const { return pending_.size() + (records_ ? records_->waiting() : 0); }

 private:
  enum class Step { again, idle, interrupted };

  Step open(bool may_block);
  ByteStream::Status look_ahead(std::size_t most, bool may_block);
  Step want_more();
  bool decode();
  Step read(bool may_block);

  std::unique_ptr<PeekStream> content_;
  ContentPlace place_;
  const NameParts name_;
  const InputOptions& options_;
  FormatChoice& choice_;
  std::span<char> buffer_;
  std::size_t needed_ = 1;                 // as much of it must be seen before it is judged (again)
  bool decoded_ = false;                   // it is decoded to UTF-8
  std::string marked_encoding_;            // see marked_encoding()
  bool whole_ = false;                     // see is_whole()
  std::unique_ptr<RecordReader> records_;  // once its format is known
  std::uint64_t given_ = 0;                // see given()
  std::string_view pending_;               // in buffer_, not yet taken by records_
  bool ended_ = false;                     // the content is read
};

}  // namespace reviewrate
