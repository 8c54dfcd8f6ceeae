// {"reviewrate_note": 2, "state": "starting|running|complete", "run": {...}, "inputs": [...], "output": {...}}
#include "journal.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "fingerprint.h"
#include "reviewrate/error.h"
#include "reviewrate/file.h"
#include "reviewrate/output_file.h"

namespace reviewrate::cli {
namespace {

using nlohmann::json;

constexpr const char* kMark = "reviewrate_note";
constexpr int kFormat = 2;
constexpr std::size_t kMaxNoteBytes = std::size_t{1} << 28;
constexpr std::uint64_t kSmallInputs = std::uint64_t{64} << 20;  // read through once more for a note nobody asked for

/// The note at `path`; null if there is none, and anything else but an object if it is none.
json read_note(const std::string& path) {
  struct stat info = {};
  if (::lstat(path.c_str(), &info) != 0) return nullptr;
  if (!S_ISREG(info.st_mode)) return false;
  try {
    json note = json::parse(read_file(path, kMaxNoteBytes, ErrorKind::output), nullptr, /*allow_exceptions=*/false);
    if (note.is_object() && note.value(kMark, json()) == kFormat) return note;
  } catch (const Error&) {  // cannot be read
  }
  return false;
}

std::uint64_t size_of(const std::string& path) {
  struct stat info = {};
  return ::stat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

/// Strings of any bytes, such as the names of files.
template <typename Json>
std::string to_text(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Journal::Journal(const std::string& output, Run run, bool required)
    : output_(follow_links(output)), path_(path(output)), run_(std::move(run)), required_(required) {
  struct stat info = {};
  existed_ = ::stat(output_.c_str(), &info) == 0;
  ours_ = is_ours(output);
  if (required && !ours_) {
    throw Error(ErrorKind::output, "--resume: " + path_ +
                                       ": is there, but no note of this program: move it away, or choose another "
                                       "--output");
  }
  if (!ours_) return;
  inputs_ = json::array();
  std::uint64_t bytes = 0;
  for (const std::string& file : run_.files) {
    inputs_.push_back(fingerprint(file, run_.skip, /*with_content=*/false));
    bytes += inputs_.back()["bytes"].get<std::uint64_t>();
  }
  // What cannot be JSON as it is would not be what it was when the note is read again.
  run_.options = json::parse(to_text(run_.options));
  if (!required && bytes > kSmallInputs) return;
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    inputs_[i] = fingerprint(run_.files[i], run_.skip, /*with_content=*/true);
  }
}

std::string Journal::path(const std::string& output) { return follow_links(output) + ".resume"; }

bool Journal::is_ours(const std::string& output) {
  const json note = read_note(path(output));
  return note.is_null() || note.is_object();
}

void Journal::write(const char* state, json output) {
  if (!ours_) return;
  // The mark comes first, so that the beginning shows what the file is.
  const nlohmann::ordered_json note = {
      {kMark, kFormat}, {"state", state}, {"run", run_.options}, {"inputs", inputs_}, {"output", std::move(output)}};
  try {
    write_whole(path_, to_text(note) + '\n');
    noted_ = true;
  } catch (const Error&) {
    // An older run's note would vouch for this run's records.
    if (required_ || !read_note(path_).is_null()) throw;
  }
}

void Journal::starting() { write("starting", nullptr); }

void Journal::running() { write("running", nullptr); }

void Journal::finish(int status) {
  if (required_) {
    write("complete", {{"bytes", size_of(output_)}, {"sha256", content_checksum(output_)}, {"status", status}});
  } else if (noted_ && ::unlink(path_.c_str()) != 0 && errno != ENOENT) {
    throw Error(ErrorKind::output, path_ + ": cannot be removed: " + std::generic_category().message(errno));
  }
}

void Journal::check_same_run(const json& note) {
  const std::string where = "--resume: " + output_ + ": was begun with ";
  const json before = note.value("run", json::object());
  for (const auto& [key, value] : run_.options.items()) {
    const json then = before.is_object() ? before.value(key, json()) : json();
    if (then != value) {
      throw Error(ErrorKind::output,
                  where + "another " + key + ": " + to_text(then) + " then, " + to_text(value) + " now");
    }
  }
  const json inputs = note.value("inputs", json::array());
  if (!inputs.is_array() || inputs.size() != inputs_.size()) {
    throw Error(ErrorKind::output, where + "other inputs: " + std::to_string(inputs.size()) + " then, " +
                                       std::to_string(inputs_.size()) + " now");
  }
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    if (is_unchanged(inputs[i], inputs_[i], run_.files[i], run_.skip)) continue;
    throw Error(ErrorKind::output,
                where + "other inputs: " + run_.files[i] + " is not what it was (its names, sizes, times or bytes)");
  }
}

bool Journal::was_interrupted() const {
  const json note = read_note(path_);
  return note.is_object() && note.value("state", json()) != "complete";
}

Journal::Progress Journal::resume() {
  const json note = read_note(path_);
  const std::uint64_t size = size_of(output_);
  const bool complete = note.is_object() && note.value("state", json()) == "complete";
  const json noted = complete ? note.value("output", json::object()) : json::object();
  // Of a file that holds nothing, nothing can be lost. Its note tells of it only if nobody has removed or emptied it.
  const bool emptied = complete && noted.value("bytes", json()) != 0;
  if (size == 0 && (!existed_ || emptied || note.is_null())) return {};
  if (!note.is_object()) {
    throw Error(ErrorKind::output, "--resume: " + output_ +
                                       ": is left as it is: no note beside it says which run has written it (" + path_ +
                                       "); without --resume it is written anew");
  }
  check_same_run(note);
  if (complete) {
    if (noted.value("bytes", json()) != size || noted.value("sha256", json()) != content_checksum(output_)) {
      throw Error(ErrorKind::output,
                  "--resume: " + output_ + ": was changed after a run had finished it: left as it is");
    }
    const json status = noted.value("status", json());
    return {count_written(output_, run_.records), status.is_number_integer() ? status.get<int>() : 0};
  }
  if (note.value("state", json()) != "running") return {};
  return {count_written(output_, run_.records), std::nullopt};
}

}  // namespace reviewrate::cli
