// The SentencePiece module in a program without libtorch, so that sanitizer builds test it too: a model is read, and
// damaged ones are refused with a line, never with an abort.
#include "reviewrate/sentencepiece.h"

#include <cmath>
#include <cstring>
#include <random>

#include "catch.h"
#include "reviewrate/error.h"

namespace reviewrate {
namespace {

/// A field of a protocol buffer message.
std::string field(int number, const std::string& bytes) {
  std::string size;
  std::size_t rest = bytes.size();
  for (; rest >= 128; rest >>= 7U) size += static_cast<char>(rest | 128U);
  return static_cast<char>(number << 3 | 2) + (size + static_cast<char>(rest)) + bytes;
}

enum Type { kNormal = 1, kUnknown = 2, kControl = 3, kUnused = 5 };

std::string piece(const std::string& text, float score, Type type) {
  std::string number(4, '\0');
  std::memcpy(number.data(), &score, 4);
  return field(1, field(1, text) + "\x15" + number + "\x18" + static_cast<char>(type));
}

std::string model() {
  return piece("<s>", 0, kControl) + piece("</s>", 0, kControl) + piece("<unk>", 0, kUnknown) +
         piece("\u2581good", -3, kNormal) + piece("film", -4, kNormal) + piece("\u2581", -5, kNormal) +
         piece("[MASK]", 0, kUnused);
}

UnigramOptions options() {
  UnigramOptions settings;
  settings.begin = "<s>";
  settings.end = "</s>";
  return settings;
}

/// The ids of "good film", or the complaint about the file.
std::string outcome(const std::string& bytes) {
  std::string answer;
  try {
    std::vector<TokenId> ids;
    load_sentencepiece({"x.model", bytes}, std::nullopt, options())->encode("good film", ids);
    for (const TokenId id : ids) answer += std::to_string(id) + ' ';
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::model);
    answer = e.what();
    CHECK(answer.starts_with("x.model: cannot be used: "));
  }
  return answer;
}

TEST_CASE("sentencepiece: a model is read") { CHECK(outcome(model()) == "3 5 4 "); }

TEST_CASE("sentencepiece: models without what is needed") {
  using Catch::Contains;
  CHECK_THAT(outcome(""), Contains("cannot be used"));
  CHECK_THAT(outcome("not a model"), Contains("damaged or not a SentencePiece model"));
  CHECK_THAT(outcome(piece("a", 0, kNormal)), Contains("cannot be used"));
  CHECK_THAT(outcome(model() + piece("<unk2>", 0, kUnknown)), Contains("cannot be used"));
  CHECK_THAT(outcome(model() + piece("film", 0, kNormal)), Contains("cannot be used"));
  CHECK_THAT(outcome(model() + piece("", 0, kNormal)), Contains("cannot be used"));
  CHECK_THAT(outcome(model() + piece(std::string(5000, 'x'), 0, kNormal)), Contains("cannot be used"));
  CHECK_THAT(outcome(model() + piece("nan", std::nanf(""), kNormal)), Contains("not a finite number"));
}

TEST_CASE("sentencepiece: damage of every kind ends in ids or one line") {
  const std::string whole =
      model() + field(2, "\x18\x01") + field(3, field(2, "charsmap")) + field(4, field(1, "self-test"));
  CHECK(outcome(whole) == "3 5 4 ");
  for (std::size_t size = 0; size < whole.size(); ++size) CHECK(!outcome(whole.substr(0, size)).empty());
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i) {
    std::string damaged = whole;
    for (auto flips = random() % 3 + 1; flips > 0; --flips) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    CHECK(!outcome(damaged).empty());
  }
}

}  // namespace
}  // namespace reviewrate
