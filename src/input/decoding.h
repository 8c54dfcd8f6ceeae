// Text in other encodings than UTF-8.
#pragma once

#include <memory>
#include <string>

#include "reviewrate/byte_stream.h"

namespace reviewrate {

/// Whether iconv knows `encoding`.
bool is_encoding(const std::string& encoding);

/// `inner` in UTF-8. What `encoding`, which iconv must know, has no character for becomes a byte that UTF-8 has none
/// for either, so that whoever repairs the text counts it.
std::unique_ptr<ByteStream> open_decoded(std::unique_ptr<ByteStream> inner, const std::string& encoding);

}  // namespace reviewrate
