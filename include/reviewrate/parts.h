// A text in sentences or in words.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace reviewrate {

/// The places, in bytes, at which the parts of `text` (valid UTF-8) end, ascending and the last at its end; none for a
/// text of white space. White space stands in front of what follows it.
///
/// A sentence ends behind . ! ? and their like with the quotes and brackets after them, before white space; also at
/// <br /> and at an empty line. It does not end behind the stop of a usual English abbreviation or an initial, nor
/// behind dots that a small letter follows. What has no letter or digit belongs to the sentence before it.
std::vector<std::size_t> sentence_ends(std::string_view text);

/// The same for words, which stand between white space; a <br /> ends one and belongs to it.
std::vector<std::size_t> word_ends(std::string_view text);

}  // namespace reviewrate
