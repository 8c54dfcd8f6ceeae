// UTF-8 decoding and repair, against what Python's decode(errors="replace") gives.
#include "reviewrate/utf8.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "catch.h"

using namespace std::string_literals;

namespace reviewrate {
namespace {

struct RepairCase {
  std::string bytes;
  std::string repaired;
  std::size_t invalid_bytes;
};

TEST_CASE("repair puts U+FFFD for each maximal subpart, as Python does") {
  const std::string r = "\xEF\xBF\xBD";
  const RepairCase cases[] = {
      {"caf\xE9s", "caf" + r + "s", 1},
      {"\x80", r, 1},
      {"\xBF\xBF", r + r, 2},
      {"\xC0\x80", r + r, 2},  // overlong
      {"\xC1\xBF", r + r, 2},  // overlong
      {"\xC3", r, 1},          // cut
      {"\xC3(", r + "(", 1},
      {"\xE2\x82", r, 2},  // cut, one subpart
      {"\xE2\x82x", r + "x", 2},
      {"\xE2\x82\xE2\x82\xAC", r + "\xE2\x82\xAC", 2},
      {"\xE0\x80\x80", r + r + r, 3},  // overlong
      {"\xED\xA0\x80", r + r + r, 3},  // a surrogate
      {"\xED\x9F\xBF\xEE\x80\x80", "\xED\x9F\xBF\xEE\x80\x80", 0},
      {"\xF0\x80\x80\x80", r + r + r + r, 4},  // overlong
      {"\xF0\x90\x80", r, 3},                  // cut
      {"\xF0\x9F\x98!", r + "!", 3},
      {"\xF4\x8F\xBF\xBF", "\xF4\x8F\xBF\xBF", 0},  // U+10FFFF
      {"\xF4\x90\x80\x80", r + r + r + r, 4},       // beyond
      {"\xF5\x80\xFF\xFE", r + r + r + r, 4},
      {"nul\0stays"s, "nul\0stays"s, 0},
      {"", "", 0},
  };
  for (const RepairCase& example : cases) {
    std::string text = example.bytes;
    CHECK(repair(text) == example.invalid_bytes);
    CHECK(text == example.repaired);
  }
}

TEST_CASE("the beginning of a text ends between code points") {
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";  // of 1, 2, 3 and 4 bytes
  const std::size_t ends[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
  for (std::size_t bytes = 0; bytes < 12; ++bytes) {
    CHECK(beginning_of(text, bytes) == text.substr(0, ends[bytes]));
    CHECK(shortened(text, bytes) == text.substr(0, ends[bytes]) + (bytes < 10 ? "\xE2\x80\xA6" : ""));
  }
}

TEST_CASE("repair finds a bad byte wherever it stands between the steps of eight") {
  for (std::size_t size = 1; size <= 40; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, 'a');
      text[at] = '\xFF';
      CHECK(repair(text) == 1);
      CHECK(text == std::string(at, 'a') + "\xEF\xBF\xBD" + std::string(size - at - 1, 'a'));
    }
  }
}

TEST_CASE("every scalar value survives encoding and decoding, and is valid") {
  for (char32_t code_point = 0; code_point <= 0x10FFFF; ++code_point) {
    if (code_point == 0xD800) code_point = 0xE000;
    std::string text;
    append_code_point(text, code_point);
    const std::size_t size = text.size();
    const DecodedChar decoded = decode_code_point(text);
    if (decoded.code_point != code_point || decoded.length != size || !decoded.valid || repair(text) != 0) {
      FAIL("U+" << std::hex << static_cast<std::uint32_t>(code_point));
    }
  }
}

TEST_CASE("decoding takes the bad bytes that one U+FFFD stands for") {
  const DecodedChar cut = decode_code_point("\xF0\x9F\x98");
  CHECK_FALSE(cut.valid);
  CHECK(cut.length == 3);
  CHECK(cut.code_point == kReplacementCharacter);

  const DecodedChar replacement = decode_code_point("\xEF\xBF\xBD");
  CHECK(replacement.valid);
  CHECK(replacement.code_point == kReplacementCharacter);
}

}  // namespace
}  // namespace reviewrate
