// Files that are written: what a path leads to, and replacing a file's content as a whole.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace reviewrate {

/// The descriptor that `path` stands for: "-" is stdout, and so are /dev/stdout, /dev/fd/N and their kin, also behind
/// links. Empty for any other path.
std::optional<int> named_descriptor(const std::string& path);

/// Where writing to `path` leads: links are followed, also one to a file that does not exist yet.
std::string follow_links(const std::string& path);

/// Gives the file at `path` the content `bytes`, as a whole or not at all: whatever fails, what was there before stays.
/// Links are followed, and the file's mode and owner kept. It goes to a temporary file beside it that then takes its
/// name; where that cannot be (a folder that is read-only, a file that is mounted alone or has several names) the file
/// is written in place once its room on the disk is certain. What is no regular file, or a descriptor, is just written
/// to. Throws Error(output).
void write_whole(const std::string& path, const std::string& bytes);

class TemporaryFile;

/// A file that is good only as a whole: it takes the place of the one at `path` when it is, and else leaves nothing.
class WholeFile {
 public:
  /// Throws Error(output).
  explicit WholeFile(const std::string& path);
  ~WholeFile();
  WholeFile(const WholeFile&) = delete;
  WholeFile& operator=(const WholeFile&) = delete;

  /// What has to be written to.
  const std::string& temporary() const;

  /// Gives it its name. Throws Error(output).
  void take_place();

 private:
  std::string path_;
  std::unique_ptr<TemporaryFile> file_;
};

/// Called in a signal handler that is about to end the program: removes the temporary file that is being
/// written.
void abandon_temporary_file();

}  // namespace reviewrate
