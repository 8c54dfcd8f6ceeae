// Texts that come again in a run.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "reviewrate/tokenizer.h"

namespace reviewrate {

/// A bounded table of the texts that were read, by a cryptographic checksum of their token ids: no text can be made up
/// to be taken for another.
///
/// It tells a text's place; a new text takes that of an older one where their checksums lead to the same. Who keeps an
/// answer for each place, and looks at the texts in the order in which they were asked for, finds there the answer of
/// the text that find() saw.
class RepeatTable {
 public:
  static constexpr std::size_t kPlaces = std::size_t{1} << 16;

  struct Found {
    std::uint32_t place;  ///< below kPlaces
    bool repeated;        ///< the last text of this place is this one
  };

  Found find(std::span<const TokenId> ids);

 private:
  using Key = std::array<unsigned char, 16>;

  std::vector<Key> keys_;  ///< none before the first question
};

}  // namespace reviewrate
