// The files below a folder.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace reviewrate {

/// Walks a folder in the order of its files' paths, following links.
class FolderWalk {
 public:
  /// A file or a folder in the walk.
  struct Entry {
    std::string id;    ///< its path from the folder that was named on
    std::string path;  ///< its path to open it
    bool folder = false;
  };

  /// `skipped` is told why an entry was passed over.
  explicit FolderWalk(std::function<void(std::string_view reason)> skipped) : skipped_(std::move(skipped)) {}

  /// Goes into the folder at `path`, which `info` is of: the one that was named, or the last entry, called `id`. Throws
  /// InputFailure.
  void enter(const std::string& path, const std::string& id, const struct stat& info);

  bool inside() const { return !folders_.empty(); }

  /// The next entry; false if the innermost folder has no more, and was left.
  bool next(Entry& entry);

 private:
  struct Folder {
    std::string path;
    std::string prefix;  // of its entries' ids
    std::vector<std::string> entries;
    std::size_t next = 0;
    dev_t device;
    ino_t inode;
  };

  std::function<void(std::string_view)> skipped_;
  std::vector<Folder> folders_;
};

}  // namespace reviewrate
