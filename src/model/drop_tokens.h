// Which tokens of a window go on to the next layer where a schedule drops some of them (PoWER-BERT,
// https://arxiv.org/abs/2001.08950).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace reviewrate {

/// A window is never thinned below this many tokens; scripts/encoder.py has the same.
constexpr std::int64_t kLeastKept = 16;

/// How many tokens of a window go on after a layer that keeps the share `keep` of the `tokens` that the window had at
/// the start, where `left` are left of them.
std::int64_t kept_tokens(double keep, std::int64_t tokens, std::int64_t left);

/// The rows that go on of windows of these lengths one after another, in their order: of each window its first token
/// and those that `received` most attention, `kept` in all; of equal ones the earlier. Where what a window received is
/// not all finite, all of it goes on, and `kept` says so: the token that NaN or infinity comes from must not be lost.
std::vector<std::int64_t> most_attended(const std::vector<float>& received, const std::vector<std::int64_t>& lengths,
                                        std::vector<std::int64_t>& kept);

}  // namespace reviewrate
