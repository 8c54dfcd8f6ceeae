// FILE.resume is JSON: {"state": ..., "run": {...}}; it is replaced as a whole, never changed in place.
#include "journal.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <utility>

#include "reviewrate/error.h"
#include "reviewrate/output_stream.h"

namespace reviewrate::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Size of a file, or number and size of a folder's files that are read: whether the input is still what it was.
json input_size(const std::string& path, const std::vector<std::string>& skip) {
  using File = std::pair<dev_t, ino_t>;
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) return nullptr;
  if (!S_ISDIR(info.st_mode)) return info.st_size;
  std::set<File> seen = {{info.st_dev, info.st_ino}};  // folders, as links may go round, and what is not read
  for (const std::string& file : skip) {
    if (::stat(file.c_str(), &info) == 0) seen.emplace(info.st_dev, info.st_ino);
  }
  std::uintmax_t files = 0;
  std::uintmax_t bytes = 0;
  std::error_code error;
  const auto options = fs::directory_options::follow_directory_symlink | fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator it(path, options, error), end; !error && it != end; it.increment(error)) {
    const bool known = ::stat(it->path().c_str(), &info) == 0;
    const bool hidden = it->path().filename().native().starts_with('.');
    const bool folder = known && S_ISDIR(info.st_mode);
    if (folder && (hidden || !seen.emplace(info.st_dev, info.st_ino).second)) it.disable_recursion_pending();
    if (!known || hidden || folder || seen.contains({info.st_dev, info.st_ino})) continue;
    ++files;
    bytes += static_cast<std::uintmax_t>(info.st_size);
  }
  return {{"files", files}, {"bytes", bytes}};
}

}  // namespace

WrittenRecords count_written(const std::string& path, OutputFormat format) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorKind::output, path + ": cannot be read: " + std::strerror(errno));
  WrittenRecords written;
  const bool lines = format == OutputFormat::jsonl;
  bool header = !lines;
  bool quoted = false;
  std::uint64_t at = 0;
  std::string record;
  std::vector<char> block(std::size_t{1} << 18);
  // A csv record failed if its error_kind, the tenth column, is not empty; no column before it holds a delimiter
  // unquoted.
  std::size_t column = 0;
  bool failed = false;
  constexpr std::size_t kErrorKindColumn = 9;
  while (file.read(block.data(), static_cast<std::streamsize>(block.size())), file.gcount() > 0) {
    for (std::streamsize i = 0; i < file.gcount(); ++i) {
      const char c = block[static_cast<std::size_t>(i)];
      ++at;
      if (lines) {
        if (c != '\n') {
          record += c;
          continue;
        }
        const json parsed = json::parse(record, nullptr, /*allow_exceptions=*/false);
        failed = parsed.is_object() && parsed.contains("error");
        record.clear();
      } else {
        if (c == '"') quoted = !quoted;
        const bool delimiter = !quoted && c == (format == OutputFormat::csv ? ',' : '\t');
        if (delimiter) ++column;
        if (quoted || c != '\n') {
          if (!delimiter && column == kErrorKindColumn) failed = true;
          continue;
        }
        column = 0;
      }
      written.bytes = at;
      if (!header) {
        ++written.records;
        if (failed) ++written.failures;
      }
      header = false;
      failed = false;
    }
  }
  if (file.bad()) throw Error(ErrorKind::output, path + ": cannot be read: " + std::strerror(errno));
  return written;
}

Journal::Journal(const std::string& output, OutputFormat format, json run, const std::vector<std::string>& files,
                 const std::vector<std::string>& skip)
    : output_(output), path_(path(output)), format_(format) {
  json& inputs = run["inputs"] = json::array();
  for (const std::string& file : files) inputs.push_back({{"path", file}, {"size", input_size(file, skip)}});
  run_ = run.dump(-1, ' ', false, json::error_handler_t::replace);
}

void Journal::write(const char* state) {
  const std::string next = path_ + ".new";
  OutputStream stream(next);
  stream.write(std::string("{\"state\": \"") + state + "\", \"run\": " + run_ + "}\n");
  stream.close();
  if (std::rename(next.c_str(), path_.c_str()) != 0) {
    throw Error(ErrorKind::output, path_ + ": cannot be written: " + std::strerror(errno));
  }
}

void Journal::complete() {
  if (::unlink(path_.c_str()) != 0 && errno != ENOENT) {
    throw Error(ErrorKind::output, path_ + ": cannot be removed: " + std::strerror(errno));
  }
}

std::optional<WrittenRecords> Journal::resume() const {
  std::error_code error;
  const bool noted = fs::exists(path_, error);
  if (!noted) {
    const std::uintmax_t size = fs::file_size(output_, error);
    if (!error && size > 0) return std::nullopt;
    return WrittenRecords{};  // not there, or opened and nothing more
  }
  std::stringstream text;
  text << std::ifstream(path_, std::ios::binary).rdbuf();
  const json note = json::parse(text.str(), nullptr, /*allow_exceptions=*/false);
  if (!note.is_object() || !note.contains("run") || !note["run"].is_object() || !note.contains("state")) {
    throw Error(ErrorKind::output, path_ + ": is not a note of an interrupted run: remove it to start anew");
  }
  const json run = json::parse(run_);
  for (const auto& [key, value] : run.items()) {
    const json before = note["run"].value(key, json());
    if (before == value) continue;
    throw Error(ErrorKind::output, "--resume: " + output_ + ": was begun with another " + key + ": " + before.dump() +
                                       " then, " + value.dump() + " now");
  }
  if (note["state"] != "running" || !fs::exists(output_, error)) return WrittenRecords{};
  return count_written(output_, format_);
}

}  // namespace reviewrate::cli
