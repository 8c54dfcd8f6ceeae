// Reads records from bytes that come whole and from the same bytes in pieces, and compares.
#pragma once

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "fuzz.h"
#include "reviewrate/byte_stream.h"
#include "reviewrate/record_reader.h"

namespace reviewrate::fuzz {

/// A field name that no record can have, because it is not UTF-8.
inline constexpr const char* kNoField = "\xFF";

/// What a reader gives for some bytes.
struct Reading {
  std::vector<Review> reviews;
  std::string failure;  ///< why it read no further; empty: it did not fail
};

inline bool same(const Review& a, const Review& b) {
  return a.id == b.id && a.text == b.text && a.repaired == b.repaired && a.passed == b.passed && a.failure == b.failure;
}

inline bool same(const Reading& a, const Reading& b) {
  return a.failure == b.failure && std::equal(a.reviews.begin(), a.reviews.end(), b.reviews.begin(), b.reviews.end(),
                                              [](const Review& x, const Review& y) { return same(x, y); });
}

inline void check_review(const Review& review, const InputOptions& options) {
  check(is_utf8(review.id.text) && is_utf8(review.text), "id and text are UTF-8");
  check(review.text.size() <= 3 * options.max_review_bytes, "a text is not longer than allowed");  // U+FFFD takes 3
  for (const Field& field : review.passed) {
    check(is_utf8(field.name) && is_utf8(field.value.text), "passed fields are UTF-8");
  }
  if (!review.failure) return;
  check(review.text.empty(), "a failed review has no text");
  check(!review.failure->kind.empty() && is_one_line(review.failure->message), "a message is one line of UTF-8");
}

/// Pushes `bytes` in pieces of 1 to `longest` bytes (0: all at once). Each piece is freed before the next one comes, so
/// that a reader that still looks at it is found out.
inline Reading read_records(InputFormat format, const InputOptions& options, std::string_view bytes,
                            std::size_t longest) {
  const auto reader = open_records(format, {"in", "in"}, options);
  std::minstd_rand random(static_cast<unsigned>(bytes.size()));
  Reading reading;
  try {
    for (bool last = false; !last;) {
      const std::size_t size = longest == 0 ? bytes.size() : std::min(bytes.size(), 1 + random() % longest);
      const std::vector<char> piece(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      last = longest == 0 || bytes.empty();
      bytes.remove_prefix(size);
      std::string_view input(piece.data(), piece.size());
      for (Review review; reader->next(input, last, review); review = Review()) {
        check_review(review, options);
        reading.reviews.push_back(review);
      }
      check(input.empty(), "a reader that wants more has used up what it had");
    }
  } catch (const InputFailure& failure) {
    reading.failure = failure.kind() + ": " + failure.what();
  }
  return reading;
}

/// Checks that the records of `bytes` depend on the bytes alone, and that records without ids of their own are told
/// apart. The first \x01 is replaced by more bytes than a record may have besides its text, because no fuzzer would
/// find so many; the pieces are larger then, for speed. Returns the records.
inline std::vector<Review> check_records(InputFormat format, const InputOptions& options, std::string_view bytes,
                                         unsigned piece_size) {
  std::string filled(bytes);
  if (const std::size_t mark = filled.find('\x01'); mark != std::string::npos) {
    filled.replace(mark, 1, std::string(70'000, 'x'));
    piece_size = 64 * (piece_size + 1);
  }
  Reading whole = read_records(format, options, filled, 0);
  const Reading pieces = read_records(format, options, filled, 1 + piece_size);
  check(same(whole, pieces), "records do not depend on how their bytes arrive");
  if (options.id_field == kNoField) {
    std::set<std::string> ids;
    for (const Review& review : whole.reviews) check(ids.insert(review.id.text).second, "ids are unique");
  }
  return std::move(whole.reviews);
}

}  // namespace reviewrate::fuzz
