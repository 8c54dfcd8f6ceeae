// Fuzz target: the WordPiece tokenizer, cased and uncased. What stands before the first NUL of an input is more lines
// for the vocabulary, the rest is the text.
#include <algorithm>

#include "fuzz.h"
#include "reviewrate/error.h"
#include "reviewrate/utf8.h"
#include "reviewrate/wordpiece.h"

using namespace reviewrate;
using namespace reviewrate::fuzz;

namespace {

constexpr std::string_view kVocabulary =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n!\n\"\n#\n'\n(\n)\n,\n-\n.\n:\n?\n[\n]\n/\n<\n>\na\nb\nc\nd\ne\nf\ng\nh\ni\n"
    "l\nm\no\nr\ns\nt\nA\nE\nT\n##a\n##b\n##c\n##d\n##e\n##ed\n##ing\n##i\n##l\n##m\n##n\n##o\n##r\n##s\n##t\nthe\n"
    "The\nfilm\ngood\nbad\nis\nmovie\ncafe\ncaf\xC3\xA9\n##\xC3\xA9\n\xC3\xA9\n\xE4\xB8\xAD\n\xE7\x94\xBB\n\xD0\xBA\n"
    "##\xD0\xB8\n##\xD0\xBD\n##\xD0\xBE\n\xF0\x9F\x98\x80\n";

using Ids = std::vector<TokenId>;

Ids encode(const Tokenizer& tokenizer, std::string_view text) {
  Ids ids;
  tokenizer.encode(text, ids);
  return ids;
}

// A cased tokenizer loses nothing but blanks and control characters of a text all of whose words it knows.
void check_pieces(const Tokenizer& tokenizer, const Ids& ids, std::string_view text) {
  const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
  const auto is_unknown = [&](TokenId id) { return tokenizer.token(id) == "[UNK]"; };
  if (!std::all_of(text.begin(), text.end(), is_ascii) || std::any_of(ids.begin(), ids.end(), is_unknown)) return;
  std::string visible(text);
  std::erase_if(visible, [](char c) { return c <= ' ' || c == 0x7F; });
  std::string joined;
  for (const TokenId id : ids) {
    std::string_view token = tokenizer.token(id);
    if (token.size() > 2 && token.starts_with("##")) token.remove_prefix(2);
    joined += token;
  }
  check(joined == visible, "the pieces of an ASCII text make it up");
}

void check_tokenizer(const Tokenizer& tokenizer, std::size_t vocabulary_size, std::string_view text) {
  const Ids ids = encode(tokenizer, text);
  for (const TokenId id : ids) {
    check(id >= 0 && static_cast<std::size_t>(id) < vocabulary_size, "ids are within the vocabulary");
  }
  check(ids.size() <= text.size(), "there are no more tokens than bytes");

  std::string repaired(text);
  repair(repaired);
  check(encode(tokenizer, repaired) == ids, "invalid bytes count as what repair() makes of them");

  const std::string_view left = text.substr(0, text.size() / 2);
  const std::string_view right = text.substr(left.size());
  Ids halves = encode(tokenizer, left);
  tokenizer.encode(right, halves);
  check(encode(tokenizer, std::string(left) + " " + std::string(right)) == halves, "a blank parts what is around it");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text = as_text(data, size);
  std::string vocabulary(kVocabulary);
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    vocabulary += text.substr(0, nul);
    text.remove_prefix(nul + 1);
  }
  try {
    const Vocab vocab(vocabulary, "vocabulary");
    for (std::size_t i = 0; i < vocab.size(); ++i) {
      const std::string_view token = vocab.token(static_cast<TokenId>(i));
      check(vocab.token(vocab.find(token)) == token, "every token of the vocabulary is found");
    }
    const WordPieceTokenizer cased(vocab, {.lowercase = false});
    check_tokenizer(cased, vocab.size(), text);
    check_pieces(cased, encode(cased, text), text);
    check_tokenizer(WordPieceTokenizer(vocab), vocab.size(), text);
  } catch (const Error& error) {
    check(error.kind() == ErrorKind::model && !is_utf8(vocabulary), "only a vocabulary that is not UTF-8 is refused");
  }
  return 0;
}
