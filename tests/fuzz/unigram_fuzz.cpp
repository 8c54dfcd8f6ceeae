// Fuzz target: the unigram tokenizer and the normalizer before it. The first byte chooses the steps, the next two the
// length of a table of normalization rules, which follows as the model would bring it; the rest is the text.
#include <algorithm>
#include <array>

#include "fuzz.h"
#include "reviewrate/error.h"
#include "reviewrate/unigram.h"
#include "reviewrate/utf8.h"

using namespace reviewrate;
using namespace reviewrate::fuzz;

namespace {

using Ids = std::vector<TokenId>;

UnigramVocab vocabulary() {
  UnigramVocab vocab{{{"<unk>", 0}, {"<s>", 0}, {"</s>", 0}, {"<mask>", 0, false}}, 0};
  constexpr std::array<const char*, 26> kPieces = {
      "\u2581", "\u2581a", "\u2581good", "\u2581the", "a",  "b",   "c",       "d",   "e",
      "ed",     "f",       "fi",         "film",      "\"", "!",   "!!",      "!!!", "\u00E9",
      "\u0301", "\u0438",  "\u4E2D",     "\u1100",    "s",  "ing", "\u2581<", "0"};
  float score = -1;
  for (const char* piece : kPieces) vocab.pieces.push_back({piece, score -= 0.5F});
  return vocab;
}

Ids encode(const Tokenizer& tokenizer, std::string_view text) {
  Ids ids;
  tokenizer.encode(text, ids);
  return ids;
}

bool is_word(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

void check_tokenizer(const UnigramOptions& options, const Charsmap& charsmap, std::string_view text) {
  const UnigramVocab vocab = vocabulary();
  const UnigramTokenizer tokenizer(vocab, charsmap, options, "pieces");
  const Ids ids = encode(tokenizer, text);
  for (const TokenId id : ids) {
    check(id >= 0 && static_cast<std::size_t>(id) < vocab.pieces.size(), "ids are within the vocabulary");
  }

  std::string repaired(text);
  repair(repaired);
  check(encode(tokenizer, repaired) == ids, "invalid bytes count as what repair() makes of them");
  check(is_utf8(normalize(repaired, options.normalizer, charsmap)), "a normal form is UTF-8");

  const std::string_view left = text.substr(0, text.size() / 2);
  const std::string_view right = text.substr(left.size());
  const auto& steps = options.normalizer;
  const bool rules = std::find(steps.begin(), steps.end(), NormalizerStep::charsmap) != steps.end();  // may be any
  if (rules || left.empty() || !is_word(left.back()) || !is_word(right.front())) return;
  Ids halves = encode(tokenizer, left);
  tokenizer.encode(right, halves);
  check(encode(tokenizer, std::string(left) + " " + std::string(right)) == halves, "a blank parts two words");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input = as_text(data, size);
  const unsigned choice = take_byte(input);
  const unsigned low = take_byte(input);
  const unsigned table_size = take_byte(input) << 8 | low;
  const std::string table(input.substr(0, table_size));
  const std::string_view text = input.substr(table.size());

  Charsmap charsmap;
  if (!table.empty()) {
    try {
      charsmap = Charsmap(table, "rules");
    } catch (const Error& error) {
      check(error.kind() == ErrorKind::model && is_one_line(error.what()), "the model is to blame, on one line");
      return 0;
    }
  }
  UnigramOptions options;
  options.special_tokens = {{"</s>", 2, false, false}, {"<mask>", 3, true, (choice & 1) != 0}};
  options.begin = "<s>";
  options.end = "</s>";
  options.split_white_space = (choice & 2) != 0;
  // In the order in which ALBERT has them.
  if ((choice & 4) != 0) options.normalizer.push_back(NormalizerStep::quotes);
  if ((choice & 8) != 0) options.normalizer.push_back(NormalizerStep::unaccent);
  if ((choice & 16) != 0) options.normalizer.push_back(NormalizerStep::lowercase);
  if (!table.empty()) options.normalizer.push_back(NormalizerStep::charsmap);
  if ((choice & 32) != 0) options.normalizer.push_back(NormalizerStep::strip_right);
  if ((choice & 64) != 0) options.normalizer.push_back(NormalizerStep::merge_spaces);
  if ((choice & 128) != 0) options.normalizer.push_back(NormalizerStep::mark_long_spaces);
  check_tokenizer(options, charsmap, text);
  return 0;
}
