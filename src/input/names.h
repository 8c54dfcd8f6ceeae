// What names of files and members say.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace reviewrate {

/// What a name says of the content, which has the last word.
struct NameParts {
  std::string extension;    ///< in lower case, with the dot, below that of a compression
  bool compressed = false;  ///< it promises a compressed file or an archive
  bool archive = false;
  bool tar = false;
};

NameParts parts_of(const std::string& path);

/// Why a file that was found in a folder or archive is no data: "hidden", or "marker" for what other programs leave
/// beside theirs. `path` is what leads to it from the FILE that was named on. Empty: it may be data.
std::string_view skip_reason(const std::string& path);

/// Whether `path` matches one of the globs, as fnmatch(3) does; all paths do if there are none.
bool is_included(const std::string& path, const std::vector<std::string>& globs);

/// `name` in valid UTF-8, so that different names stay different: bytes that are none become \xNN, and the back slash
/// of a name that has such a thing of its own becomes \x5C.
std::string id_of(const std::string& name);

}  // namespace reviewrate
