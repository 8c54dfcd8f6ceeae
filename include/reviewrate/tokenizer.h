// What the pipeline needs of a tokenizer, whatever its kind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace reviewrate {

/// A vocabulary index, as the model's embedding takes it.
using TokenId = std::int32_t;

/// Text to token ids. Implementations are immutable after construction and safe to share between threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Appends the ids of the whole of `text`, uncut and without the special tokens around it, to `ids`.
  /// Any bytes are accepted; invalid UTF-8 counts as U+FFFD.
  virtual void encode(std::string_view text, std::vector<TokenId>& ids) const = 0;

  /// The token as the vocabulary writes it; `id` must be one that encode() or begin_id()/end_id() gave.
  virtual std::string_view token(TokenId id) const = 0;

  /// How many ids there are: encode() and the two below give 0 to vocab_size() - 1.
  virtual std::size_t vocab_size() const = 0;

  /// What stands for text that the vocabulary does not have.
  virtual TokenId unknown_id() const = 0;

  /// The special token that opens every window ([CLS], <s>).
  virtual TokenId begin_id() const = 0;

  /// The special token that closes every window ([SEP], </s>).
  virtual TokenId end_id() const = 0;
};

}  // namespace reviewrate
