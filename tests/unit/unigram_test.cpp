// The unigram tokenizer on a vocabulary made by hand: what is read by SentencePiece is compared in tests/python.
#include "reviewrate/unigram.h"

#include <cmath>
#include <limits>

#include "catch.h"
#include "reviewrate/error.h"

namespace reviewrate {
namespace {

UnigramVocab vocab() {
  return {{{"<unk>", 0},
           {"<s>", 0},
           {"</s>", 0},
           {"\u2581", -3},
           {"\u2581good", -4},
           {"film", -5},
           {"!", -6},
           {"!!", -6.1F},
           {"\u2581<", -7},
           {"<mask>", 0, false}},
          0};
}

UnigramOptions options() {
  UnigramOptions settings;
  settings.special_tokens = {{"</s>", 2, false, false}, {"<mask>", 9, true, true}};
  settings.begin = "<s>";
  settings.end = "</s>";
  return settings;
}

std::vector<TokenId> encoded(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<TokenId> ids;
  tokenizer.encode(text, ids);
  return ids;
}

std::vector<TokenId> encoded(std::string_view text, const UnigramOptions& settings) {
  return encoded(UnigramTokenizer(vocab(), {}, settings, "test"), text);
}

std::string complaint(UnigramVocab pieces, const UnigramOptions& settings) {
  try {
    const UnigramTokenizer tokenizer(std::move(pieces), {}, settings, "test");
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::model);
    return e.what();
  }
  return "";
}

using Ids = std::vector<TokenId>;

TEST_CASE("unigram: words, ties and what is unknown") {
  const UnigramTokenizer tokenizer(vocab(), {}, options(), "test");
  CHECK(encoded(tokenizer, "") == Ids{});
  CHECK(encoded(tokenizer, " ") == Ids{3});
  CHECK(encoded(tokenizer, "good film") == Ids{4, 3, 5});
  CHECK(encoded(tokenizer, "!!!") == Ids{3, 6, 7});  // of equal ways the one whose last piece begins first
  CHECK(encoded(tokenizer, "goodxyzfilm") == Ids{4, 0, 5});
  CHECK(encoded(tokenizer, "x y") == Ids{3, 0, 3, 0});
  CHECK(encoded(tokenizer, "good\xFF") == Ids{4, 0});
  CHECK(tokenizer.begin_id() == 1);
  CHECK(tokenizer.end_id() == 2);
  CHECK(tokenizer.token(5) == "film");
}

TEST_CASE("unigram: special tokens in the text") {
  CHECK(encoded("good</s>good", options()) == Ids{4, 2, 4});
  CHECK(encoded("good \u00A0<mask> film", options()) == Ids{4, 9, 3, 5});
  CHECK(encoded("<mask", options()) == Ids{8, 0});
  UnigramOptions plain = options();
  plain.special_tokens.clear();
  CHECK(encoded("<mask>", plain) == Ids{8, 0});  // not a piece that may be in text
}

TEST_CASE("unigram: normalizing") {
  using enum NormalizerStep;
  CHECK(normalize("``a'' '''", {quotes}, {}) == "\"a\" \"'");
  CHECK(normalize("\u00C9\uFB01\uAC01\u0301", {unaccent}, {}) == "Efi\u1100\u1161\u11A8");
  CHECK(normalize("\u0130\u03A3A", {lowercase}, {}) == "i\u0307\u03C3a");
  CHECK(normalize("  a  b c   ", {merge_spaces}, {}) == " a b c ");
  CHECK(normalize("  a", {mark_long_spaces}, {}) == "\u2581a");
  CHECK(normalize("a b\t\u3000 ", {strip_right}, {}) == "a b");
  CHECK(normalize("\u3000", {strip_right}, {}) == "");
  UnigramOptions settings = options();
  settings.split_white_space = true;
  CHECK(encoded("\tgood \n film", settings) == Ids{4, 3, 5});
}

TEST_CASE("unigram: long words and texts take linear time") {
  CHECK(encoded(std::string(1 << 20, 'x'), options()) == Ids{3, 0});
  CHECK(encoded(std::string(1 << 20, '!'), options()).size() == (1 << 19) + 1);
  CHECK(encoded(std::string(1 << 20, '<'), options()).size() == 2);
  CHECK(encoded(std::string(1 << 20, ' '), options()).size() == 1 << 20);
}

TEST_CASE("unigram: vocabularies that cannot be used") {
  using Catch::Contains;
  CHECK(complaint(vocab(), options()) == "");
  UnigramVocab changed = vocab();
  changed.unknown = 10;
  CHECK_THAT(complaint(changed, options()), Contains("no piece for what is unknown"));
  changed = vocab();
  changed.pieces[5].text = "!";
  CHECK_THAT(complaint(changed, options()), Contains("two pieces are !"));
  changed = vocab();
  changed.pieces[5].score = std::numeric_limits<float>::quiet_NaN();
  CHECK_THAT(complaint(changed, options()), Contains("not a finite number"));
  for (const std::string& text : {std::string(), std::string(1025, 'x')}) {
    changed.pieces[5] = {text, 0};
    CHECK_THAT(complaint(changed, options()), Contains("bytes, not 1 to 1024"));
  }
  changed.pieces[5] = {"\xFF", 0};
  CHECK_THAT(complaint(changed, options()), Contains("not UTF-8"));
  CHECK_THAT(complaint({}, options()), Contains("cannot be used"));
  UnigramOptions settings = options();
  settings.begin = "[CLS]";
  CHECK_THAT(complaint(vocab(), settings), Contains("it has no piece [CLS]"));
  settings = options();
  settings.special_tokens[0].id = 10;
  CHECK_THAT(complaint(vocab(), settings), Contains("special token </s>"));
}

TEST_CASE("charsmap: damaged tables are refused or harmless") {
  using Catch::Contains;
  for (const std::string& table : {std::string(), std::string("\x04\0\0\0", 4), std::string("\x03\0\0\0abc", 7)}) {
    CHECK_THROWS_WITH(Charsmap(table, "test"), Contains("not a precompiled table"));
  }
  std::string table("\x40\0\0\0", 4);
  for (int i = 0; i < 64; ++i) table.push_back(static_cast<char>(i * 37));
  CHECK_THROWS_WITH(Charsmap(table + "\xFF", "test"), Contains("not UTF-8"));
  const Charsmap charsmap(table + "abc", "test");
  std::string text;
  for (char32_t c = 1; c < 0x3000; ++c) text += static_cast<char>(c % 127 + 1);
  CHECK_NOTHROW(charsmap.apply(text));
}

}  // namespace
}  // namespace reviewrate
