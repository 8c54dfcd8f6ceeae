// BertTokenizerFast's way from text to ids in one pass: literal special tokens, cleaning, folding, splitting into
// words, and greedy matching of each word's pieces.
#include "reviewrate/wordpiece.h"

#include <algorithm>
#include <string>
#include <utility>

#include "reviewrate/error.h"
#include "reviewrate/utf8.h"

namespace reviewrate {

namespace {

/// A word of more code points is unknown as a whole (max_input_chars_per_word in the reference).
constexpr std::size_t kMaxWordChars = 100;

/// Looked for in the text as it stands; each opens with the same bracket and none is the start of another.
constexpr std::string_view kSpecialTokens[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
constexpr char kSpecialTokenOpening = '[';

TokenId required(const Vocab& vocab, std::string_view token) {
  const TokenId id = vocab.find(token);
  if (id == Vocab::kAbsent) {
    throw Error(ErrorKind::model, "vocabulary " + vocab.name() + ": cannot be used: it has no " + std::string(token));
  }
  return id;
}

}  // namespace

/// The word being read. Of a word that is too long only its first bytes are kept, so a word of any length takes the
/// same room.
class WordPieceTokenizer::Word {
 public:
  bool empty() const { return chars_ == 0; }
  bool is_too_long() const { return chars_ > kMaxWordChars; }
  std::string_view bytes() const { return {bytes_.data(), size_}; }

  void add_ascii(char ascii) {
    if (is_too_long()) return;
    bytes_[size_++] = ascii;
    ++chars_;
  }

  void add(char32_t code_point) {
    if (is_too_long()) return;
    size_ += encode_code_point(code_point, bytes_.data() + size_);
    ++chars_;
  }

  void clear() { size_ = chars_ = 0; }

 private:
  // One more than the limit, the character that tells that the word is too long.
  std::array<char, (kMaxWordChars + 1) * kMaxCodePointBytes> bytes_;
  std::size_t size_ = 0;
  std::size_t chars_ = 0;
};

WordPieceTokenizer::WordPieceTokenizer(Vocab vocab, WordPieceOptions options)
    : vocab_(std::move(vocab)),
      options_(options),
      unknown_id_(required(vocab_, "[UNK]")),
      begin_id_(required(vocab_, "[CLS]")),
      end_id_(required(vocab_, "[SEP]")) {
  for (const std::string_view token : kSpecialTokens) {
    if (const TokenId id = vocab_.find(token); id != Vocab::kAbsent) special_tokens_.push_back({token, id});
  }
  for (char32_t code_point = 0; code_point < ascii_.size(); ++code_point) {
    AsciiChar& ascii = ascii_[code_point];
    for (const FoldedChar& folded : normalize(code_point)) {
      ascii.char_class = folded.char_class;
      ascii.folded = static_cast<char>(folded.code_point);
    }
    if (ascii.char_class == CharClass::isolated) {
      const TokenId id = vocab_.find(std::string_view(&ascii.folded, 1));
      ascii.isolated_id = id == Vocab::kAbsent ? unknown_id_ : id;
    }
  }
}

void WordPieceTokenizer::encode(std::string_view text, std::vector<TokenId>& ids) const {
  Word word;
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text.front());
    if (byte >= ascii_.size()) {
      const DecodedChar decoded = decode_code_point(text);
      for (const FoldedChar& folded : normalize(decoded.code_point)) add(folded, word, ids);
      text.remove_prefix(decoded.length);
      continue;
    }
    const AsciiChar& ascii = ascii_[byte];
    std::size_t taken = 1;
    switch (ascii.char_class) {
      case CharClass::word:
        word.add_ascii(ascii.folded);
        break;
      case CharClass::space:
        finish(word, ids);
        break;
      case CharClass::isolated:
        finish(word, ids);
        if (const SpecialToken* special = special_token_at(text)) {
          ids.push_back(special->id);
          taken = special->text.size();
        } else {
          ids.push_back(ascii.isolated_id);
        }
        break;
      case CharClass::dropped:
        break;
    }
    text.remove_prefix(taken);
  }
  finish(word, ids);
}

Folding WordPieceTokenizer::normalize(char32_t code_point) const {
  if (options_.lowercase) return fold(code_point);
  Folding folding;
  const CharClass unfolded_class = char_class(code_point);
  if (unfolded_class != CharClass::dropped) folding.push_back({code_point, unfolded_class});
  return folding;
}

const WordPieceTokenizer::SpecialToken* WordPieceTokenizer::special_token_at(std::string_view text) const {
  if (text.front() != kSpecialTokenOpening) return nullptr;
  const auto found = std::find_if(special_tokens_.begin(), special_tokens_.end(),
                                  [text](const SpecialToken& special) { return text.starts_with(special.text); });
  return found == special_tokens_.end() ? nullptr : &*found;
}

/// Takes the next character, from which on the words before it may be complete.
void WordPieceTokenizer::add(FoldedChar folded, Word& word, std::vector<TokenId>& ids) const {
  if (folded.char_class != CharClass::word) finish(word, ids);
  if (folded.char_class == CharClass::space) return;
  word.add(folded.code_point);
  if (folded.char_class == CharClass::isolated) finish(word, ids);
}

/// Appends the ids of the word's pieces, each the longest that fits, and clears the word. If one place fits no token,
/// the word as a whole is unknown.
void WordPieceTokenizer::finish(Word& word, std::vector<TokenId>& ids) const {
  if (word.empty()) return;
  const std::size_t ids_before = ids.size();
  bool is_known = !word.is_too_long();
  for (std::string_view rest = word.bytes(); is_known && !rest.empty();) {
    const Vocab::Match match = vocab_.longest_prefix(rest, ids.size() != ids_before);
    ids.push_back(match.id);
    rest.remove_prefix(match.length);
    is_known = match.length != 0;
  }
  if (!is_known) {
    ids.resize(ids_before);
    ids.push_back(unknown_id_);
  }
  word.clear();
}

}  // namespace reviewrate
