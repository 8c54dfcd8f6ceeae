// The WordPiece tokenizer against ids of the Hugging Face `tokenizers` package, and what a text in JSON cannot hold.
#include "reviewrate/wordpiece.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "catch.h"
#include "reviewrate/error.h"
#include "reviewrate/file.h"

using namespace std::string_literals;

namespace reviewrate {
namespace {

WordPieceTokenizer full_tokenizer(bool lowercase) {
  return WordPieceTokenizer(Vocab(read_file(REVIEWRATE_MODEL_DIR "/vocab.txt", 1 << 20, ErrorKind::model), "vocab.txt"),
                            {lowercase});
}

std::vector<TokenId> encoded(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<TokenId> ids;
  tokenizer.encode(text, ids);
  return ids;
}

/// The tokens with blanks between them.
std::string tokens(const Tokenizer& tokenizer, std::string_view text) {
  std::string joined;
  for (const TokenId id : encoded(tokenizer, text)) {
    if (!joined.empty()) joined += ' ';
    joined += tokenizer.token(id);
  }
  return joined;
}

TEST_CASE("ids are the reference's, for every kind of character") {
  const WordPieceTokenizer uncased = full_tokenizer(true);
  const WordPieceTokenizer cased = full_tokenizer(false);
  std::ifstream cases(std::filesystem::path(REVIEWRATE_TEST_DATA) / "wordpiece_cases.jsonl");
  std::size_t count = 0;
  for (std::string line; std::getline(cases, line); ++count) {
    const auto example = nlohmann::json::parse(line);
    const WordPieceTokenizer& tokenizer = example.at("lowercase").get<bool>() ? uncased : cased;
    INFO(line);
    CHECK(encoded(tokenizer, example.at("text").get<std::string>()) == example.at("ids").get<std::vector<TokenId>>());
  }
  CHECK(count > 2000);
}

TEST_CASE("encode appends, and the special ids are the vocabulary's") {
  const WordPieceTokenizer tokenizer = full_tokenizer(true);
  std::vector<TokenId> ids{tokenizer.begin_id()};
  tokenizer.encode("nice film", ids);
  ids.push_back(tokenizer.end_id());
  CHECK(ids == std::vector<TokenId>{101, 3835, 2143, 102});
  CHECK(tokenizer.token(tokenizer.begin_id()) == "[CLS]");
}

TEST_CASE("bytes that are not UTF-8 are dropped, and nothing else with them") {
  const WordPieceTokenizer tokenizer = full_tokenizer(true);
  CHECK(tokens(tokenizer, "fi\xFFlm \xC0\x80nice\xE2\x82") == "film nice");
  CHECK(tokens(tokenizer, "\xED\xA0\x80\xF5") == "");
  CHECK(tokens(tokenizer, "[SE\xFFP]") == "[ sep ]");
  CHECK(tokens(tokenizer, "nice\0film\0"s) == tokens(tokenizer, "nicefilm"));
}

TEST_CASE("words and texts of any length take linear time and one word's room") {
  const WordPieceTokenizer tokenizer = full_tokenizer(true);
  CHECK(tokens(tokenizer, std::string(1 << 20, 'x')) == "[UNK]");
  CHECK(tokens(tokenizer, "a " + std::string(1 << 20, '\xFF') + "b") == "a b");
  CHECK(encoded(tokenizer, std::string(1 << 20, '[')).size() == 1 << 20);
  std::string words;
  for (int i = 0; i < 1 << 18; ++i) words += "film ";
  CHECK(encoded(tokenizer, words) == std::vector<TokenId>(1 << 18, 2143));
}

TEST_CASE("a small vocabulary: absent pieces and specials") {
  const WordPieceTokenizer tokenizer(Vocab("[UNK]\n[CLS]\n[SEP]\nun\n##able\n##a\n.\n\xC3\xA9\n", "test"));
  CHECK(tokens(tokenizer, "unable unab una un. able !") == "un ##able [UNK] un ##a un . [UNK] [UNK]");
  CHECK(tokens(tokenizer, "[MASK]") == "[UNK] [UNK] [UNK]");  // not in this vocabulary, so it is text
  CHECK(tokens(tokenizer, "un[SEP]un") == "un [SEP] un");
}

TEST_CASE("a cased vocabulary keeps case and accents") {
  const std::string text = "[UNK]\n[CLS]\n[SEP]\nFilm\nfilm\ncaf\xC3\xA9\ncafe\n";
  const WordPieceTokenizer cased(Vocab(text, "test"), {.lowercase = false});
  CHECK(encoded(cased, "Film film FILM caf\xC3\xA9 cafe") == std::vector<TokenId>{3, 4, 0, 5, 6});
  const WordPieceTokenizer uncased(Vocab(text, "test"), {.lowercase = true});
  CHECK(encoded(uncased, "Film film FILM caf\xC3\xA9 cafe") == std::vector<TokenId>{4, 4, 4, 6, 6});
}

TEST_CASE("a vocabulary without a token that WordPiece needs is refused") {
  for (const std::string missing : {"[UNK]", "[CLS]", "[SEP]"}) {
    std::string text = "a\n";
    for (const std::string token : {"[UNK]", "[CLS]", "[SEP]"}) {
      if (token != missing) text += token + "\n";
    }
    std::string message;
    try {
      const WordPieceTokenizer tokenizer(Vocab(text, "v.txt"));
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::model);
      message = error.what();
    }
    CHECK(message == "vocabulary v.txt: cannot be used: it has no " + missing);
  }
}

}  // namespace
}  // namespace reviewrate
