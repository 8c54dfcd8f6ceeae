// Files that are read whole: those of a model package, and small ones that the program wrote itself.
#pragma once

#include <cstddef>
#include <string>

#include "reviewrate/error.h"

namespace reviewrate {

/// A file that was read whole.
struct FileBytes {
  std::string path;
  std::string bytes;
};

/// The bytes of the regular file `path`; links are followed. Throws Error(kind) if it cannot be opened or read, is no
/// regular file (a named pipe would never end), or is larger than `limit` bytes.
std::string read_file(const std::string& path, std::size_t limit, ErrorKind kind);

}  // namespace reviewrate
