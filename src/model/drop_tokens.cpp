// See the header.
#include "drop_tokens.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace reviewrate {

std::int64_t kept_tokens(double keep, std::int64_t tokens, std::int64_t left) {
  constexpr double kRounding = 1e-6;  // 0.55 * 100 is a little above 55 in binary
  const auto share = static_cast<std::int64_t>(std::ceil(keep * static_cast<double>(tokens) - kRounding));
  return std::min(left, std::max(std::min(tokens, kLeastKept), share));
}

std::vector<std::int64_t> most_attended(const std::vector<float>& received, const std::vector<std::int64_t>& lengths,
                                        std::vector<std::int64_t>& kept) {
  std::vector<std::int64_t> rows;
  auto begin = received.begin();
  for (std::size_t w = 0; w < lengths.size(); ++w) {
    const auto end = begin + lengths[w];
    if (!std::all_of(begin, end, [](float x) { return std::isfinite(x); })) kept[w] = lengths[w];
    const auto first = static_cast<std::ptrdiff_t>(rows.size());
    rows.resize(rows.size() + static_cast<std::size_t>(lengths[w]));
    const auto mine = rows.begin() + first;
    std::iota(mine, rows.end(), begin - received.begin());
    if (kept[w] < lengths[w]) {
      std::nth_element(mine + 1, mine + kept[w], rows.end(), [&](std::int64_t a, std::int64_t b) {
        const float of_a = received[static_cast<std::size_t>(a)];
        const float of_b = received[static_cast<std::size_t>(b)];
        return of_a > of_b || (of_a == of_b && a < b);
      });
      rows.erase(mine + kept[w], rows.end());
      std::sort(rows.begin() + first, rows.end());
    }
    begin = end;
  }
  return rows;
}

}  // namespace reviewrate
