// Fingerprints of files and folders, as JSON for the note of a run.
#include "fingerprint.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "reviewrate/sha256.h"
#include "reviewrate/utf8.h"

namespace reviewrate::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t kBlock = 64 * 1024;

struct InputFile {
  std::string name;  ///< within the folder; empty for a file that was named itself
  std::string path;
  std::uint64_t size;
  std::string time;
};

std::string time_of(const struct stat& info) {
  return std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec);
}

/// Adds text with its length before it, so that neighbours cannot be mistaken for one another.
void add(Sha256& sum, std::string_view text) {
  sum.add(std::to_string(text.size()) + ":");
  sum.add(text);
}

/// Adds a file's bytes, or only its first and last block. False if it cannot be read.
bool add_bytes(Sha256& sum, const InputFile& file, bool all) {
  const int fd = ::open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return false;
  std::string block(all ? std::size_t{1} << 18 : kBlock, '\0');
  std::uint64_t at = 0;
  ssize_t got = 0;
  while ((got = ::pread(fd, block.data(), block.size(), static_cast<off_t>(at))) > 0) {
    sum.add(std::string_view(block).substr(0, static_cast<std::size_t>(got)));
    at += static_cast<std::uint64_t>(got);
    if (!all && at >= file.size) break;
    if (!all) at = std::max(at, file.size - std::min<std::uint64_t>(file.size, kBlock));
  }
  ::close(fd);
  return got >= 0;
}

/// The regular files below `folder`, by name.
std::vector<InputFile> files_below(const std::string& folder, const struct stat& top,
                                   const std::vector<std::string>& skip) {
  using Identity = std::pair<dev_t, ino_t>;
  struct stat info = {};
  std::set<Identity> seen = {{top.st_dev, top.st_ino}};  // folders, as links may go round, and what is not read
  for (const std::string& path : skip) {
    if (::stat(path.c_str(), &info) == 0) seen.emplace(info.st_dev, info.st_ino);
  }
  std::vector<InputFile> files;
  std::error_code error;
  const auto options = fs::directory_options::follow_directory_symlink | fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator it(folder, options, error), end; !error && it != end; it.increment(error)) {
    const std::string& path = it->path().native();
    const bool known = ::stat(path.c_str(), &info) == 0;
    const bool hidden = it->path().filename().native().starts_with('.');
    const bool is_folder = known && S_ISDIR(info.st_mode);
    if (is_folder && (hidden || !seen.emplace(info.st_dev, info.st_ino).second)) it.disable_recursion_pending();
    if (!known || hidden || !S_ISREG(info.st_mode) || seen.contains({info.st_dev, info.st_ino})) continue;
    files.push_back({it->path().lexically_relative(folder).string(), path, static_cast<std::uint64_t>(info.st_size),
                     time_of(info)});
  }
  std::sort(files.begin(), files.end(), [](const InputFile& a, const InputFile& b) { return a.name < b.name; });
  return files;
}

std::vector<InputFile> files_of(const std::string& path, const std::vector<std::string>& skip) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) return {};
  if (S_ISDIR(info.st_mode)) return files_below(path, info, skip);
  if (!S_ISREG(info.st_mode)) return {};
  return {{"", path, static_cast<std::uint64_t>(info.st_size), time_of(info)}};
}

/// Of the first and last blocks, or of all bytes.
std::string checksum(const std::vector<InputFile>& files, bool all) {
  Sha256 sum;
  for (const InputFile& file : files) {
    if (!add_bytes(sum, file, all)) sum.add("cannot be read");
  }
  return sum.hex();
}

}  // namespace

std::string content_checksum(const std::string& path) {
  Sha256 sum;
  return add_bytes(sum, {"", path, 0, ""}, /*all=*/true) ? sum.hex() : "";
}

json fingerprint(const std::string& path, const std::vector<std::string>& skip, bool with_content) {
  const std::vector<InputFile> files = files_of(path, skip);
  Sha256 names;
  Sha256 times;
  std::uint64_t bytes = 0;
  for (const InputFile& file : files) {
    add(names, file.name);
    add(names, std::to_string(file.size));
    add(times, file.time);
    bytes += file.size;
  }
  std::string name = path;
  repair(name);  // JSON holds nothing else
  json out = {{"path", name},         {"files", files.size()}, {"bytes", bytes},
              {"names", names.hex()}, {"times", times.hex()},  {"ends", checksum(files, /*all=*/false)},
              {"content", nullptr}};
  if (with_content) out["content"] = checksum(files, /*all=*/true);
  return out;
}

bool is_unchanged(const json& before, json& now, const std::string& path, const std::vector<std::string>& skip) {
  if (!before.is_object()) return false;
  for (const char* key : {"path", "files", "bytes", "names", "ends"}) {
    if (before.value(key, json()) != now[key]) return false;
  }
  const json content = before.value("content", json());
  if (before.value("times", json()) != now["times"]) {
    if (content.is_null()) return false;
    if (checksum(files_of(path, skip), /*all=*/true) != content) return false;
  }
  now["content"] = content;
  return true;
}

}  // namespace reviewrate::cli
