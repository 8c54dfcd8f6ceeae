// Reasons not to rely on a prediction.
#pragma once

#include <span>
#include <string>

#include "reviewrate/rating.h"
#include "reviewrate/tokenizer.h"

namespace reviewrate {

/// "unknown tokens" where more than half of `ids` are `unknown`; "repetition" where there are eight or more and more
/// than half of them are the same; else nothing.
std::string doubt_about_tokens(std::span<const TokenId> ids, TokenId unknown);

/// "probability" where `positive` is in the range, else nothing.
std::string doubt_about_probability(double positive, const UnsureRange& range);

}  // namespace reviewrate
