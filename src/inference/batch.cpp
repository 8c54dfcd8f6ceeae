// Windows and batches; see the header for what each means.
#include "reviewrate/batch.h"

#include <algorithm>

namespace reviewrate {

std::vector<Window> cut(std::size_t tokens, const WindowOptions& options) {
  const std::size_t capacity = options.max_tokens - 2;
  if (tokens <= capacity) return {{{0, tokens}, {}}};
  switch (options.policy) {
    case LongText::head:
      return {{{0, capacity}, {}}};
    case LongText::head_tail: {
      const std::size_t head = options.max_tokens / 4;
      return {{{0, head}, {tokens - (capacity - head), tokens}}};
    }
    case LongText::windows:
      break;
  }
  std::vector<Window> windows;
  const std::size_t step = capacity - options.stride;
  for (std::size_t begin = 0;; begin += step) {
    const std::size_t end = std::min(begin + capacity, tokens);
    windows.push_back({{begin, end}, {}});
    if (end == tokens) return windows;
  }
}

void Batch::add(std::span<const TokenId> review, const Window& window, const Tokenizer& tokenizer) {
  const std::size_t length = window.tokens();
  ids.push_back(tokenizer.begin_id());
  for (const TokenRange range : {window.first, window.second}) {
    const auto part = review.subspan(range.begin, range.size());
    ids.insert(ids.end(), part.begin(), part.end());
  }
  ids.push_back(tokenizer.end_id());
  for (std::size_t i = 0; i < length; ++i) positions.push_back(static_cast<std::int64_t>(i));
  lengths.push_back(static_cast<std::int64_t>(length));
}

}  // namespace reviewrate
