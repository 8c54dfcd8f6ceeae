// A model gives a probability to whatever it is given; these are texts that it was not made for.
#include "unsure.h"

#include <algorithm>
#include <cstddef>

namespace reviewrate {
namespace {

/// Fewer tokens are no pattern: "very very good".
constexpr std::size_t kLeastRepeated = 8;

/// The element that more than half of `ids` are, if there is one (Boyer and Moore's majority vote).
TokenId candidate(std::span<const TokenId> ids) {
  TokenId found = 0;
  std::size_t votes = 0;
  for (const TokenId id : ids) {
    if (votes == 0) found = id;
    votes += id == found ? 1 : std::size_t(-1);
  }
  return found;
}

}  // namespace

std::string doubt_about_tokens(std::span<const TokenId> ids, TokenId unknown) {
  if (ids.empty()) return {};
  const TokenId most = candidate(ids);
  if (2 * static_cast<std::size_t>(std::count(ids.begin(), ids.end(), most)) <= ids.size()) return {};
  if (most == unknown) return "unknown tokens";
  return ids.size() >= kLeastRepeated ? "repetition" : "";
}

std::string doubt_about_probability(double positive, const UnsureRange& range) {
  return positive >= range.low && positive <= range.high ? "probability" : "";
}

}  // namespace reviewrate
