// Which tokens a schedule lets go on: how many, which ones, and in which order.
#include "../../src/model/drop_tokens.h"

#include <cmath>
#include <limits>

#include "catch.h"

using namespace reviewrate;

using Rows = std::vector<std::int64_t>;

TEST_CASE("a share of the first tokens goes on, rounded up, and no text is thinned below 16") {
  CHECK(kept_tokens(0.7, 512, 512) == 359);   // 358.4
  CHECK(kept_tokens(0.55, 100, 100) == 55);   // in binary a little above 55
  CHECK(kept_tokens(0.07, 700, 700) == 49);   // so is this
  CHECK(kept_tokens(0.1, 1000, 500) == 100);  // of the tokens at the start, not of those that are left
  CHECK(kept_tokens(1, 100, 100) == 100);
  CHECK(kept_tokens(0.9, 100, 80) == 80);
  CHECK(kept_tokens(0.01, 1, 1) == 1);
  CHECK(kept_tokens(0.01, 15, 15) == 15);
  CHECK(kept_tokens(0.01, 16, 16) == 16);
  CHECK(kept_tokens(0.01, 17, 17) == 16);
  CHECK(kept_tokens(0.01, 512, 300) == 16);
  CHECK(kept_tokens(0.5, 34, 34) == 17);
}

TEST_CASE("the first token goes on, and those that receive most attention, in their order") {
  const std::vector<float> received = {0, 3, 1, 4, 2};
  for (const auto& [count, rows] : std::vector<std::pair<std::int64_t, Rows>>{
           {1, {0}}, {2, {0, 3}}, {3, {0, 1, 3}}, {4, {0, 1, 3, 4}}, {5, {0, 1, 2, 3, 4}}}) {
    Rows kept = {count};
    CHECK(most_attended(received, {5}, kept) == rows);
    CHECK(kept == Rows{count});
  }
}

TEST_CASE("of tokens that receive the same the earlier go on") {
  Rows kept = {4};
  CHECK(most_attended({5, 2, 2, 2, 3, 2, 2}, {7}, kept) == Rows{0, 1, 2, 4});
  kept = {3};
  CHECK(most_attended(std::vector<float>(40, 1.0F), {40}, kept) == Rows{0, 1, 2});
}

TEST_CASE("a window's tokens are chosen from its own") {
  const std::vector<float> received = {9, 1, 2, 0, 8, 7, 6, 0, 1};  // and rows that are in no window
  Rows kept = {2, 1, 3};
  CHECK(most_attended(received, {3, 1, 4}, kept) == Rows{0, 2, 3, 4, 5, 6});
}

TEST_CASE("nothing is dropped of a window where NaN or infinity is") {
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    Rows kept = {1, 1};
    CHECK(most_attended({1, 2, bad, 3, 4}, {3, 2}, kept) == Rows{0, 1, 2, 3});
    CHECK(kept == Rows{3, 1});
  }
}
