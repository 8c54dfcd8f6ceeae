// Reading of vocabularies and the look-up of tokens.
#include "reviewrate/vocab.h"

#include <string>

#include "catch.h"
#include "reviewrate/error.h"
#include "reviewrate/file.h"

namespace reviewrate {
namespace {

/// The message of the Error that `load` ends in.
template <typename Load>
std::string load_error(const Load& load) {
  try {
    load();
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::model);
    return error.what();
  }
  return "no error";
}

TEST_CASE("a token's id is the number of its line") {
  const Vocab vocab("zero\none\n\nthree", "test");
  CHECK(vocab.size() == 4);
  CHECK(vocab.find("zero") == 0);
  CHECK(vocab.find("one") == 1);
  CHECK(vocab.find("three") == 3);
  CHECK(vocab.find("four") == Vocab::kAbsent);
  CHECK(vocab.find("thre") == Vocab::kAbsent);
  CHECK(vocab.token(2).empty());
  CHECK(vocab.token(3) == "three");
}

TEST_CASE("white space at the end of a line is not part of the token, whatever its kind") {
  const Vocab vocab("a\r\n b \t\nc\xC2\xA0\xE3\x80\x80\nd\x0B\x0C\xC2\x85\ne\xE2\x80\x8B\n", "test");
  CHECK(vocab.find("a") == 0);
  CHECK(vocab.find(" b") == 1);
  CHECK(vocab.find("c") == 2);
  CHECK(vocab.find("d") == 3);
  CHECK(vocab.find("e\xE2\x80\x8B") == 4);  // U+200B is no white space
  CHECK(vocab.size() == 5);
}

TEST_CASE("of equal tokens the last counts") {
  const Vocab vocab("x\ny\nx\ny \nz\n", "test");
  CHECK(vocab.find("x") == 2);
  CHECK(vocab.find("y") == 3);
  CHECK(vocab.token(0) == "x");
}

TEST_CASE("longest_prefix finds the longest token, and continuations apart") {
  const Vocab vocab("a\nab\nabcd\n##c\n##cde\n##\n#\n", "test");
  const auto check = [&](std::string_view word, bool continues, std::size_t length, TokenId id) {
    const Vocab::Match match = vocab.longest_prefix(word, continues);
    CHECK(match.length == length);
    CHECK(match.id == id);
  };
  check("a", false, 1, 0);
  check("abc", false, 2, 1);
  check("abcdefghijk", false, 4, 2);
  check("c", false, 0, Vocab::kAbsent);
  check("##c", false, 3, 3);
  check("cd", true, 1, 3);
  check("cdef", true, 3, 4);
  check("a", true, 0, Vocab::kAbsent);
  check("x", true, 0, Vocab::kAbsent);
}

TEST_CASE("a vocabulary without tokens finds nothing") {
  for (const char* text : {"", "\n", "\n\n\n"}) {
    const Vocab vocab(text, "test");
    CHECK(vocab.find("a") == Vocab::kAbsent);
    CHECK(vocab.longest_prefix("a", false).length == 0);
    CHECK(vocab.longest_prefix("a", true).length == 0);
  }
}

TEST_CASE("the full vocabulary is read as a whole") {
  const Vocab vocab(read_file(REVIEWRATE_MODEL_DIR "/vocab.txt", 1 << 20, ErrorKind::model), "vocab.txt");
  REQUIRE(vocab.size() == 30522);
  CHECK(vocab.find("[PAD]") == 0);
  CHECK(vocab.find("[MASK]") == 103);
  CHECK(vocab.find("film") == 2143);
  for (TokenId id = 0; id < 30522; ++id) {
    if (vocab.find(vocab.token(id)) != id) FAIL("token " << id);
  }
}

TEST_CASE("a vocabulary that cannot be used is an error that says what, where and why") {
  CHECK(load_error([] { Vocab("good\nb\xE9\n", "bad.txt"); }) == "vocabulary bad.txt: cannot be used: it is not UTF-8");
}

}  // namespace
}  // namespace reviewrate
