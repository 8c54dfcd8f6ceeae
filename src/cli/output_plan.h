// What a command reads and writes, compared before anything is opened for writing: nothing that is read is overwritten,
// and no two outputs go to one place.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <vector>

#include "reviewrate/manifest.h"

namespace reviewrate::cli {

/// Collects paths, then checks them. Files are told apart by device and inode, links followed; one that does not exist
/// yet by its folder and name.
class OutputPlan {
 public:
  OutputPlan();

  /// `path` is written, for `option` such as "--json"; "-" is stdout, and an empty path nothing. What is not `required`
  /// need not be possible.
  void writes(const std::string& option, const std::string& path, bool required = true);

  /// `path` is read, as `what` such as "the --baseline"; an empty path is nothing.
  void reads(const std::string& what, const std::string& path);

  /// The FILEs of the command line are read; "-" is stdin. Folders with all that is in them. And the list that names
  /// some of them, if there is one.
  void reads_inputs(const std::vector<std::string>& files, const std::string& files_from = "");

  /// The files of a model package are read, those that the program does not look into as well.
  void reads_model(const Manifest& manifest);

  /// Throws Error(usage) where something that is written is also read or written twice, and Error(output) where it is
  /// plain already that it cannot be written.
  void check() const;

  /// What a walk through a folder has to pass over: everything that is written, there already or not.
  std::vector<std::string> skip() const;

 private:
  struct Place {
    std::string name;       ///< of an option, or what it is for
    std::string path;       ///< as it was given
    std::optional<int> fd;  ///< if it is a descriptor that the program was started with
    std::string target;     ///< where links lead
    bool exists = false;
    bool required = true;
    struct stat info {};  ///< of the target, if it exists; else of its folder

    /// For messages: the option and its path.
    std::string words() const;
  };

  static Place place(const std::string& name, const std::string& path, std::optional<int> fd);
  static bool same(const Place& a, const Place& b);
  static void check_can_be_written(const Place& output);
  void check_folders(const Place& output) const;

  std::vector<Place> written_;
  std::vector<Place> read_;
  std::vector<std::string> folders_;
};

}  // namespace reviewrate::cli
