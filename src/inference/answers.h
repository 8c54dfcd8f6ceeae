// What the model said of the texts of a run, for those that come again.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "reviewrate/tokenizer.h"

namespace reviewrate {

/// The probabilities of a text, one a label; empty until its windows came out of the model.
using Answer = std::vector<double>;

/// A bounded table of answers by a cryptographic checksum of the token ids: no text can be made up to get another's
/// answer. A text takes the place of an older one where their checksums lead to the same place.
class AnswerTable {
 public:
  /// The answer of the text with these ids, and whether it is one that was asked for before.
  std::pair<std::shared_ptr<Answer>, bool> find(std::span<const TokenId> ids);

 private:
  using Key = std::array<unsigned char, 16>;

  struct Entry {
    Key key{};
    std::shared_ptr<Answer> answer;
  };

  static constexpr std::size_t kEntries = std::size_t{1} << 16;

  std::vector<Entry> entries_;  ///< none before the first question
};

}  // namespace reviewrate
