// How inputs fail that cannot be opened, or are damaged.
#pragma once

#include <cstddef>
#include <string>
#include <system_error>

#include "reviewrate/byte_stream.h"
#include "reviewrate/error.h"

namespace reviewrate {

inline constexpr std::size_t kCompressedBlock = 256 * 1024;  ///< compressed bytes read at a time

[[noreturn]] inline void throw_damaged(const std::string& reason) {
  throw InputFailure("damaged", "damaged, and not read any further: " + reason);
}

/// `what` is such as "cannot be opened: ". What the whole run lacks is no matter of this one input: throws
/// Error(environment) then, else InputFailure.
[[noreturn]] inline void fail_to_open(const std::string& path, const std::string& what, std::error_code error) {
  for (const std::errc lack :
       {std::errc::too_many_files_open, std::errc::too_many_files_open_in_system, std::errc::not_enough_memory}) {
    if (error == lack) throw Error(ErrorKind::environment, path + ": " + what + error.message());
  }
  throw InputFailure("open", what + error.message());
}

}  // namespace reviewrate
