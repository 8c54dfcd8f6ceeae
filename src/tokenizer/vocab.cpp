// Reading of vocab.txt, and a hash table over its tokens.
//
// A hash table and not a trie: it is built in a millisecond or two at each start, and most words of ordinary text are
// tokens as a whole, so that one look-up settles them.
#include "reviewrate/vocab.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "reviewrate/error.h"
#include "reviewrate/unicode.h"
#include "reviewrate/utf8.h"

namespace reviewrate {

namespace {

constexpr std::size_t kMaxFileSize = std::size_t{64} << 20;

constexpr std::uint64_t kEmptyHash = 0x2545F4914F6CDD1D;

/// Extends the hash of a text by one byte; the upper bits are the well-mixed ones.
constexpr std::uint64_t extend(std::uint64_t hash, char byte) {
  return (hash ^ static_cast<unsigned char>(byte)) * 0x9E3779B97F4A7C15;
}

constexpr std::uint64_t extend(std::uint64_t hash, std::string_view text) {
  for (const char byte : text) hash = extend(hash, byte);
  return hash;
}

constexpr std::uint64_t kContinuationHash = extend(kEmptyHash, Vocab::kContinuation);

[[noreturn]] void fail(const std::string& name, const std::string& why) {
  throw Error(ErrorKind::model, "vocabulary " + name + ": " + why);
}

}  // namespace

Vocab::Vocab(std::string text, std::string name) : text_(std::move(text)), name_(std::move(name)) {
  if (text_.size() > kMaxFileSize) fail(name_, "cannot be used: it is larger than 64 MiB");
  if (repair(text_) != 0) fail(name_, "cannot be used: it is not UTF-8");
  add_tokens();
  index_tokens();
}

void Vocab::add_tokens() {
  const std::string_view text = text_;
  tokens_.reserve(static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view token = trim_end(text.substr(begin, end - begin));
    tokens_.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(token.size())});
    longest_token_ = std::max(longest_token_, token.size());
    begin = end + 1;
  }
}

void Vocab::index_tokens() {
  // Half empty or more, so that runs of full slots stay short; two at least, for the shift below to be under 64.
  slots_.resize(std::bit_ceil(2 * std::max<std::size_t>(tokens_.size(), 1)));
  slot_shift_ = 64 - std::countr_zero(slots_.size());
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const std::uint64_t hash = extend(kEmptyHash, token(id));
    const Slot slot{static_cast<std::uint32_t>(hash), id};
    std::size_t at = hash >> slot_shift_;
    while (slots_[at].id != kAbsent && !(slots_[at].hash == slot.hash && token(slots_[at].id) == token(id))) {
      at = (at + 1) & mask;
    }
    slots_[at] = slot;
  }
}

TokenId Vocab::find(std::string_view prefix, std::string_view rest, std::uint64_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash >> slot_shift_; slots_[at].id != kAbsent; at = (at + 1) & mask) {
    if (slots_[at].hash != static_cast<std::uint32_t>(hash)) continue;
    const std::string_view candidate = token(slots_[at].id);
    if (candidate.size() == prefix.size() + rest.size() && candidate.starts_with(prefix) && candidate.ends_with(rest)) {
      return slots_[at].id;
    }
  }
  return kAbsent;
}

TokenId Vocab::find(std::string_view token) const { return find({}, token, extend(kEmptyHash, token)); }

Vocab::Match Vocab::longest_prefix(std::string_view word, bool continues) const {
  const std::string_view prefix = continues ? kContinuation : std::string_view();
  const std::uint64_t prefix_hash = continues ? kContinuationHash : kEmptyHash;
  if (longest_token_ <= prefix.size()) return {};
  word = word.substr(0, longest_token_ - prefix.size());

  if (const TokenId id = find(prefix, word, extend(prefix_hash, word)); id != kAbsent) return {word.size(), id};

  Match longest;
  std::uint64_t hash = prefix_hash;
  for (std::size_t length = 1; length < word.size(); ++length) {
    hash = extend(hash, word[length - 1]);
    if (const TokenId id = find(prefix, word.substr(0, length), hash); id != kAbsent) longest = {length, id};
  }
  return longest;
}

}  // namespace reviewrate
