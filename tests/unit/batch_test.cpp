// Windows at every boundary of the model's length, and batches.
#include "reviewrate/batch.h"

#include "catch.h"
#include "fakes.h"

using namespace reviewrate;

TEST_CASE("cut: what fits is one window, whatever the policy") {
  for (const LongText policy : {LongText::head, LongText::head_tail, LongText::windows}) {
    for (const std::size_t tokens : {0U, 1U, 509U, 510U}) {
      const auto windows = cut(tokens, {policy, 512, 128});
      REQUIRE(windows.size() == 1);
      CHECK(windows[0] == Window{{0, tokens}, {}});
      CHECK(windows[0].tokens() == tokens + 2);
    }
  }
}

TEST_CASE("cut: head and head-tail fill the model's length") {
  for (const std::size_t tokens : {511U, 512U, 1000U}) {
    CHECK(cut(tokens, {LongText::head, 512, 128}) == std::vector<Window>{{{0, 510}, {}}});
    CHECK(cut(tokens, {LongText::head_tail, 512, 128}) == std::vector<Window>{{{0, 128}, {tokens - 382, tokens}}});
  }
  CHECK(cut(5, {LongText::head, 3, 0}) == std::vector<Window>{{{0, 1}, {}}});
}

TEST_CASE("cut: windows share the stride, cover every token and end where the text ends") {
  for (std::size_t tokens = 511; tokens < 2000; ++tokens) {
    const auto windows = cut(tokens, {LongText::windows, 512, 128});
    REQUIRE(windows.size() >= 2);
    CHECK(windows.front().first.begin == 0);
    CHECK(windows.back().first.end == tokens);
    for (std::size_t i = 1; i < windows.size(); ++i) {
      CHECK(windows[i - 1].first.size() == 510);
      CHECK(windows[i - 1].first.end - windows[i].first.begin == 128);
    }
    CHECK(windows.back().first.size() > 128);  // no window repeats only what another saw
  }
}

TEST_CASE("Batch: windows lie end to end with their own positions") {
  const ByteTokenizer tokenizer;
  const std::vector<TokenId> ids = {10, 11, 12, 13};
  Batch batch;
  CHECK(batch.empty());
  batch.add(ids, {{0, 1}, {3, 4}}, tokenizer);
  batch.add(ids, {{0, 0}, {}}, tokenizer);
  CHECK(batch.ids == std::vector<std::int64_t>{1, 10, 13, 2, 1, 2});
  CHECK(batch.positions == std::vector<std::int64_t>{0, 1, 2, 3, 0, 1});
  CHECK(batch.lengths == std::vector<std::int64_t>{4, 2});
  CHECK(batch.tokens() == 6);
}
