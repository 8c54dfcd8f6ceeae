// Which parts of a review speak for its label, and how much.
#pragma once

#include <cstddef>
#include <vector>

namespace reviewrate {

/// What an explanation is asked to tell apart.
enum class ExplainUnit {
  sentences,
  words,  ///< in the sentences that matter most; of the others, sentences
};

/// A stretch of a review and what it contributes.
struct ExplainedPart {
  std::size_t begin = 0;       ///< in Unicode code points of the text
  std::size_t end = 0;         ///< one past its last code point
  std::size_t begin_byte = 0;  ///< the same in bytes
  std::size_t end_byte = 0;
  double contribution = 0;                ///< to the log odds of the positive label
  bool seen = true;                       ///< false: the model sees none of its tokens, so that it contributes nothing
  std::vector<ExplainedPart> words = {};  ///< of a sentence that was looked into; their contributions add up to its own
};

/// What a review's log odds of the positive label, log(p / (1 - p)), are made of: `base`, the parts' contributions and
/// `remainder` add up to them.
struct Explanation {
  double base = 0;              ///< the empty review's log odds
  double remainder = 0;         ///< what base and contributions fail to add up to: rounding of the model's arithmetic
  std::size_t evaluations = 0;  ///< how many variants of the review the model saw
  std::vector<ExplainedPart> parts;  ///< in the order of the text; what has no tokens is in none
};

}  // namespace reviewrate
