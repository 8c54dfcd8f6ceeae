// Comparing what is written with what is read.
#include "output_plan.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "process.h"
#include "reviewrate/byte_stream.h"
#include "reviewrate/error.h"
#include "reviewrate/output_file.h"
#include "reviewrate/storage.h"

namespace reviewrate::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kInput = "an input";

/// Each stands in the beginning of one of the kinds of files that this program writes for other programs, and in
/// nobody's reviews.
constexpr std::array<std::string_view, 12> kMarks = {R"("truncated": false, "windows": )",         // records as jsonl
                                                     R"("truncated": true, "windows": )",          // the same
                                                     R"("error": {"kind": ")",                     // the same
                                                     "score,p_positive,rating,tokens,truncated,",  // as csv
                                                     "score\tp_positive\trating\ttokens\t",        // as tsv
                                                     R"({"reviewrate_note":)",                     // the journal's note
                                                     R"(,"failures_by_kind":{)",                   // classify --summary
                                                     R"("name": "reviewrate",)",                   // eval --json
                                                     R"(name="generator" content="reviewrate")",   // eval --report
                                                     R"(<testsuite name="reviewrate )",            // eval --junit
                                                     R"(<!-- reviewrate eval -->)",                // eval --markdown
                                                     R"("load_seconds": )"};                       // bench --json

/// The folder that a file lies in, or would.
std::string folder_of(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

/// The beginning of a file, which may be compressed; nothing if it cannot be read.
std::string beginning_of(const std::string& path) {
  constexpr std::size_t kBeginning = 4096;
  InputWaiter waiter(/*watch_stdout=*/false);
  std::atomic<std::uint64_t> total{0};
  auto file = std::make_unique<FdStream>(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY), true, waiter, total);
  const ExpansionLimit limit(file->bytes_read());
  auto stream = std::make_unique<PeekStream>(std::move(file));
  try {
    stream->peek(kBeginning, /*may_block=*/true);
    const StorageForm form = storage_form_of(stream->seen());
    if (form == StorageForm::gzip || form == StorageForm::zstd) {
      stream = std::make_unique<PeekStream>(open_compressed(std::move(stream), form, limit));
      stream->peek(kBeginning, /*may_block=*/true);
    }
    return std::string(stream->seen());
  } catch (const InputFailure&) {
    return {};
  }
}

/// Whether the file is an earlier run's: a run that finds it in the folder that it reads may replace it. Lines for
/// people bear no mark, and so are taken for somebody's.
bool is_ours(const std::string& path) {
  const std::string beginning = beginning_of(path);
  return std::any_of(kMarks.begin(), kMarks.end(),
                     [&](std::string_view mark) { return beginning.find(mark) != std::string::npos; });
}

}  // namespace

std::string OutputPlan::Place::words() const {
  if (path == "-") return name + " (stdout)";
  return name + " " + path;
}

OutputPlan::Place OutputPlan::place(const std::string& name, const std::string& path, std::optional<int> fd) {
  Place found{name, path, fd, "", false, true, {}};
  if (fd) {
    found.exists = ::fstat(*fd, &found.info) == 0;
    return found;
  }
  found.target = follow_links(path);
  found.exists = ::stat(found.target.c_str(), &found.info) == 0;
  if (!found.exists) {
    if (::stat(folder_of(found.target).c_str(), &found.info) != 0) found.info = {};
  }
  return found;
}

OutputPlan::OutputPlan() { reads("the program", "/proc/self/exe"); }

void OutputPlan::writes(const std::string& option, const std::string& path, bool required) {
  if (path.empty()) return;
  if (path.starts_with('-') && path != "-") {
    throw Error(ErrorKind::usage, option + " " + path + ": is an option in the place of a FILE; ./" + path +
                                      " would be a file of that name");
  }
  written_.push_back(place(option, path, named_descriptor(path)));
  written_.back().required = required;
}

void OutputPlan::reads(const std::string& what, const std::string& path) {
  if (path.empty()) return;
  read_.push_back(place(what, path, path == "-" ? std::optional<int>(STDIN_FILENO) : std::nullopt));
}

void OutputPlan::reads_inputs(const std::vector<std::string>& files, const std::string& files_from) {
  reads("the list of --files-from", files_from);
  for (const std::string& file : files) {
    reads(kInput, file);
    if (S_ISDIR(read_.back().info.st_mode) && read_.back().exists) folders_.push_back(file);
  }
}

void OutputPlan::reads_model(const Manifest& manifest) {
  const std::string what = "a file of the model";
  reads(what, manifest.model.path);
  reads(what, manifest.vocab.path);
  if (manifest.charsmap) reads(what, manifest.charsmap->path);
  if (manifest.reference) reads(what, manifest.reference->path);
  if (manifest.path.empty()) return;
  reads(what, manifest.path);
  std::error_code error;
  fs::directory_iterator entry(fs::path(manifest.path).parent_path(), error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) reads(what, entry->path().string());
}

bool OutputPlan::same(const Place& a, const Place& b) {
  if (a.exists != b.exists || a.info.st_dev != b.info.st_dev || a.info.st_ino != b.info.st_ino) return false;
  if (!a.exists) return a.info.st_ino != 0 && fs::path(a.target).filename() == fs::path(b.target).filename();
  // A terminal or a socket is often both stdin and stdout, and /dev/null keeps nothing.
  return S_ISREG(a.info.st_mode) || S_ISFIFO(a.info.st_mode) || S_ISBLK(a.info.st_mode);
}

void OutputPlan::check_can_be_written(const Place& output) {
  const auto fail = [&](int error) {
    throw Error(ErrorKind::output,
                output.path + ": cannot be opened for writing: " + std::generic_category().message(error));
  };
  if (output.fd) return;
  if (output.exists && S_ISDIR(output.info.st_mode)) fail(EISDIR);
  if (output.target.ends_with('/')) fail(ENOTDIR);
  const std::string folder = folder_of(output.target);
  struct stat info = {};
  // Of what is no folder, access would tell that it cannot be entered.
  if (!output.exists && ::stat(folder.c_str(), &info) != 0) fail(errno);
  if (!output.exists && !S_ISDIR(info.st_mode)) fail(ENOTDIR);
  const std::string& asked = output.exists ? output.target : folder;
  if (::faccessat(AT_FDCWD, asked.c_str(), output.exists ? W_OK : W_OK | X_OK, AT_EACCESS) != 0) fail(errno);
}

void OutputPlan::check_folders(const Place& output) const {
  if (!output.exists || !S_ISREG(output.info.st_mode) || output.info.st_size == 0) return;
  std::set<std::pair<dev_t, ino_t>> seen;  // folders, as links may go round
  for (const std::string& folder : folders_) {
    std::error_code error;
    const auto options =
        fs::directory_options::follow_directory_symlink | fs::directory_options::skip_permission_denied;
    for (fs::recursive_directory_iterator it(folder, options, error), end; !error && it != end; it.increment(error)) {
      struct stat info = {};
      if (::stat(it->path().c_str(), &info) != 0) continue;
      if (S_ISDIR(info.st_mode) && !seen.emplace(info.st_dev, info.st_ino).second) it.disable_recursion_pending();
      if (info.st_dev != output.info.st_dev || info.st_ino != output.info.st_ino) continue;
      const std::string found = it->path().string();
      std::error_code unknown;
      const bool other_name = fs::canonical(found, unknown) != fs::canonical(output.target, unknown) ||
                              fs::is_symlink(fs::symlink_status(found, unknown));
      if (other_name && !output.fd) {
        throw Error(ErrorKind::usage, output.words() + ": is also an input, as " + found);
      }
      if (!is_ours(found)) {
        throw Error(ErrorKind::usage, output.words() + ": is also an input: it lies in " + folder +
                                          ", and nothing in it says that an earlier run has written it");
      }
    }
  }
}

void OutputPlan::check() const {
  for (auto output = written_.begin(); output != written_.end(); ++output) {
    for (auto other = written_.begin(); other != output; ++other) {
      const bool one_descriptor = output->fd && other->fd && *output->fd == *other->fd;
      if (one_descriptor || same(*output, *other)) {
        throw Error(ErrorKind::usage, output->words() + ": is also where " + other->words() + " goes");
      }
    }
    for (const Place& input : read_) {
      if (same(*output, input)) {
        throw Error(ErrorKind::usage, (output->fd == STDOUT_FILENO ? "stdout" : output->words()) + ": is also " +
                                          input.name + (input.name == kInput ? "" : ", " + input.path));
      }
    }
  }
  for (const Place& output : written_) {
    check_folders(output);
    if (output.required) check_can_be_written(output);
  }
}

std::vector<std::string> OutputPlan::skip() const {
  std::vector<std::string> paths = {"/dev/stdout", "/dev/stderr"};
  for (const Place& output : written_) {
    if (!output.fd) paths.push_back(output.target);
  }
  return paths;
}

}  // namespace reviewrate::cli
