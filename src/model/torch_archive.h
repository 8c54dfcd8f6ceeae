// The zip archive that a TorchScript file is: which records it has, and where they stand in it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace reviewrate {

/// The directory of an archive in memory, which must outlive it. Its bounds are checked before anything is unpacked:
/// records lie within the file and do not add up to more than it has, and what is compressed (code, by torch.jit.save)
/// adds up to 64 MiB at most.
class TorchArchive {
 public:
  /// `name` stands for the file in errors. Throws Error(model) for anything but a zip archive as torch.jit.save writes
  /// them: one folder, unencrypted, nothing behind.
  TorchArchive(std::string_view bytes, std::string name);

  /// A record's bytes, by its path below the archive's folder, unless it is missing or compressed.
  std::optional<std::string_view> record(const std::string& path) const;

 private:
  struct Record {
    std::string_view bytes;
    bool compressed;
  };

  [[noreturn]] void fail(const std::string& why) const;

  std::string name_;
  std::string folder_;
  std::map<std::string, Record, std::less<>> records_;
};

}  // namespace reviewrate
