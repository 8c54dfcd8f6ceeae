// See repeats.h.
#include "repeats.h"

#include <algorithm>
#include <cstring>

#include "reviewrate/sha256.h"

namespace reviewrate {

RepeatTable::Found RepeatTable::find(std::span<const TokenId> ids) {
  Sha256 sum;
  sum.add({reinterpret_cast<const char*>(ids.data()), ids.size_bytes()});
  const auto digest = sum.digest();
  Key key;
  std::copy_n(digest.begin(), key.size(), key.begin());
  Found found{};
  std::memcpy(&found.place, digest.data() + key.size(), sizeof found.place);
  found.place %= kPlaces;
  if (keys_.empty()) keys_.resize(kPlaces);
  found.repeated = keys_[found.place] == key;
  keys_[found.place] = key;
  return found;
}

}  // namespace reviewrate
