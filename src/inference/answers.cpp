// See answers.h.
#include "answers.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "reviewrate/sha256.h"

namespace reviewrate {

std::pair<std::shared_ptr<Answer>, bool> AnswerTable::find(std::span<const TokenId> ids) {
  Sha256 sum;
  sum.add({reinterpret_cast<const char*>(ids.data()), ids.size_bytes()});
  const auto digest = sum.digest();
  Key key;
  std::copy_n(digest.begin(), key.size(), key.begin());
  std::size_t place = 0;
  std::memcpy(&place, key.data(), sizeof place);
  if (entries_.empty()) entries_.resize(kEntries);
  Entry& entry = entries_[place % kEntries];
  if (entry.answer && entry.key == key) return {entry.answer, true};
  entry = {key, std::make_shared<Answer>()};
  return {entry.answer, false};
}

}  // namespace reviewrate
