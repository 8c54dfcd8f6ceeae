// What compression.cpp and archive_reader.cpp share.
#pragma once

#include <cstddef>
#include <string>

#include "reviewrate/byte_stream.h"

namespace reviewrate {

inline constexpr std::size_t kCompressedBlock = 256 * 1024;  ///< compressed bytes read at a time

[[noreturn]] inline void throw_damaged(const std::string& reason) {
  throw InputFailure("damaged", "damaged, and not read any further: " + reason);
}

}  // namespace reviewrate
