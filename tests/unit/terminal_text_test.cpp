// Counts with their nouns, and lines that fit.
#include "reviewrate/terminal_text.h"

#include <string>
#include <vector>

#include "catch.h"
#include "reviewrate/text.h"

namespace reviewrate {
namespace {

using Lines = std::vector<std::string>;

TEST_CASE("a count and its noun") {
  CHECK(counted(0, "review") == "0 reviews");
  CHECK(counted(1, "review") == "1 review");
  CHECK(counted(2, "labelled review") == "2 labelled reviews");
}

TEST_CASE("widths are columns of a terminal") {
  CHECK(width_of("film") == 4);
  CHECK(width_of("caf\u00e9") == 4);
  CHECK(width_of("cafe\u0301") == 4);
  CHECK(width_of("\u4f60\u597d") == 4);
  CHECK(code_points_of("\u4f60\u597d") == 2);
  CHECK(bytes_within("a\u4f60\u597d", 4) == 4);
  CHECK(bytes_within("a\u4f60\u597d", 5) == 7);
  CHECK(bytes_within("cafe\u0301s", 4) == 6);
}

TEST_CASE("words are wrapped, and broken only where one is wider than a line") {
  CHECK(wrapped("one two  three", 7) == Lines{"one two", "three"});
  CHECK(wrapped("a abcdefghij b", 4) == Lines{"a", "abcd", "efgh", "ij b"});
  CHECK(wrapped("\u4f60\u597d\u4f60", 5) == Lines{"\u4f60\u597d", "\u4f60"});
  CHECK(wrapped("  ", 5).empty());
}

TEST_CASE("lines that are too wide go on below, indented") {
  CHECK(fitted("short\n  as it is  \n", 12) == "short\n  as it is  \n");
  CHECK(fitted("one two three four", 9) == "one two\n  three\n  four");
  CHECK(fitted("name      value another\nnext", 16) == "name      value\n  another\nnext");
  CHECK(fitted("  abcdefghijkl mn\n", 8) == "  abcdef\n    ghij\n    kl\n    mn\n");
  CHECK(fitted("", 9).empty());
  CHECK(fitted("  name  what it is\n", 12) == "  name  what\n      it is\n");
}

}  // namespace
}  // namespace reviewrate
