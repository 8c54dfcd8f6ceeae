// Folders are listed one at a time, and no descriptor stays open.
#include "folder_walk.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "damage.h"
#include "names.h"

namespace reviewrate {

void FolderWalk::enter(const std::string& path, const std::string& id, const struct stat& info) {
  for (const Folder& above : folders_) {
    if (above.device == info.st_dev && above.inode == info.st_ino) return;  // a link to a folder that is being read
  }
  Folder folder{path, folders_.empty() ? "" : id + "/", {}, 0, info.st_dev, info.st_ino};
  std::error_code error;
  std::filesystem::directory_iterator entry(path, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    std::string name = entry->path().filename().string();
    if (const std::string_view reason = skip_reason(name); !reason.empty()) {
      skipped_(reason);
      continue;
    }
    std::error_code unknown;  // such as a broken link: opening it will tell
    // With its slash, a folder is sorted so that the whole walk is in the order of paths.
    if (entry->is_directory(unknown)) name += '/';
    folder.entries.push_back(std::move(name));
  }
  if (error) fail_to_open(path, "cannot be listed: ", error);
  std::sort(folder.entries.begin(), folder.entries.end());
  folders_.push_back(std::move(folder));
}

bool FolderWalk::next(Entry& entry) {
  Folder& folder = folders_.back();
  if (folder.next == folder.entries.size()) {
    folders_.pop_back();
    return false;
  }
  std::string name = std::move(folder.entries[folder.next++]);
  entry.folder = name.ends_with('/');
  if (entry.folder) name.pop_back();
  entry.id = folder.prefix + name;
  entry.path = folder.path + (folder.path.ends_with('/') ? "" : "/") + name;
  return true;
}

}  // namespace reviewrate
