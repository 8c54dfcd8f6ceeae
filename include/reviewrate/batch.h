// Cutting long reviews into windows, and joining windows into ragged batches: one after another, without padding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "reviewrate/tokenizer.h"

namespace reviewrate {

/// What to do with a review of more tokens than the model takes.
enum class LongText {
  head,       ///< its first tokens, as transformers' truncation=True
  head_tail,  ///< a quarter of the window from its beginning, the rest from its end (128 and 382 of 510)
  windows,    ///< all of it, in overlapping windows whose probabilities are averaged
};

/// How to cut.
struct WindowOptions {
  LongText policy = LongText::head;
  std::size_t max_tokens = 512;  ///< of a window, with its two special tokens; at least 3
  std::size_t stride = 128;      ///< tokens that neighbouring windows share; less than max_tokens - 2
};

/// Half-open range of a review's tokens.
struct TokenRange {
  std::size_t begin = 0;
  std::size_t end = 0;

  std::size_t size() const { return end - begin; }
  bool operator==(const TokenRange&) const = default;
};

/// What the model sees at once: two stretches of the review (the second is empty but for head_tail).
struct Window {
  TokenRange first;
  TokenRange second;

  /// Tokens in the window with its two special tokens.
  std::size_t tokens() const { return first.size() + second.size() + 2; }
  bool operator==(const Window&) const = default;
};

/// The windows of a review of `tokens` tokens (without special ones); at least one, also for an empty review.
std::vector<Window> cut(std::size_t tokens, const WindowOptions& options);

/// A ragged batch: windows one after another, without padding.
struct Batch {
  std::vector<std::int64_t> ids;        ///< token ids [T]
  std::vector<std::int64_t> positions;  ///< place of each token in its window, from 0 [T]
  std::vector<std::int64_t> lengths;    ///< tokens of each window [n]; they add up to T

  /// Appends `window` of the review with the token ids `ids`, between the tokenizer's two special tokens.
  void add(std::span<const TokenId> ids, const Window& window, const Tokenizer& tokenizer);

  bool empty() const { return lengths.empty(); }
  std::size_t tokens() const { return ids.size(); }
};

}  // namespace reviewrate
