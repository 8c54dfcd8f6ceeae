// Reads records from bytes that come in pieces of every kind of size, and shows what was read in strings.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "catch.h"
#include "reviewrate/byte_stream.h"
#include "reviewrate/record_reader.h"

namespace reviewrate {

// A review in one readable string: id|text, with passed columns, repairs and failures behind.
inline std::string show(const Review& review) {
  std::string shown = (review.id.json ? "#" : "") + review.id.text + "|";
  shown += review.failure ? "!" + review.failure->kind : review.text;
  for (const Field& field : review.passed) {
    shown += "|" + field.name + (field.value.json ? "#" : "=") + field.value.text;
  }
  if (review.repaired > 0) shown += "|~" + std::to_string(review.repaired);
  return shown;
}

struct Result {
  std::vector<std::string> shown;
  std::vector<std::string> messages;  // of failures
  std::vector<std::string> notes;     // what InputOptions::notify was told
};

inline Result read_in_pieces(InputFormat format, const std::string& bytes, InputOptions options, std::size_t piece) {
  Result result;
  options.notify = [&](const std::string& note) { result.notes.push_back(note); };
  const auto reader = open_records(format, {"f", "dir/f"}, options);
  try {
    for (std::size_t at = 0;; at += piece) {
      const bool last = at >= bytes.size();
      // A copy of its own, so that the sanitizer sees reads beyond the piece.
      const std::vector<char> copy(bytes.begin() + static_cast<std::ptrdiff_t>(std::min(at, bytes.size())),
                                   bytes.begin() + static_cast<std::ptrdiff_t>(std::min(at + piece, bytes.size())));
      std::string_view input(copy.data(), copy.size());
      for (;;) {
        Review review;
        if (!reader->next(input, last, review)) break;
        result.shown.push_back(show(review));
        if (review.failure) result.messages.push_back(review.failure->message);
      }
      REQUIRE(input.empty());
      if (last) break;
    }
  } catch (const InputFailure& failure) {
    result.shown.push_back("!!" + failure.kind());
    result.messages.push_back(failure.what());
  }
  if (!reader->tally().remark.empty()) result.notes.push_back(reader->tally().remark);
  return result;
}

// Whole, and the same in pieces.
inline Result read_all(InputFormat format, const std::string& bytes, const InputOptions& options = {}) {
  const Result whole = read_in_pieces(format, bytes, options, 1 << 20);
  for (const std::size_t piece : {1u, 2u, 3u, 7u}) {
    const Result pieces = read_in_pieces(format, bytes, options, piece);
    CHECK(pieces.shown == whole.shown);
    CHECK(pieces.messages == whole.messages);
    CHECK(pieces.notes == whole.notes);
  }
  return whole;
}

using Shown = std::vector<std::string>;

inline Shown records(InputFormat format, const std::string& bytes, const InputOptions& options = {}) {
  return read_all(format, bytes, options).shown;
}

}  // namespace reviewrate
