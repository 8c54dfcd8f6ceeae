// Gathers what can be said of the inputs once they were read.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "content_reader.h"
#include "reviewrate/input.h"
#include "reviewrate/record_reader.h"

namespace reviewrate {

/// Counts while records go by; InputFindings in the end.
class FindingCollector {
 public:
  explicit FindingCollector(const InputOptions& options) : options_(options) {}

  void skipped(std::string_view reason) { ++skipped_[std::string(reason)]; }

  /// A review of the content that is being read.
  void add(const Review& review);

  /// That content was read to its end; `path` is its name. The whole files of a folder or archive are judged together.
  void end_content(const std::string& path, const ContentReader& content);

  /// So was the FILE that was named, the last content's or what that lay in.
  void end_file(const std::string& path);

  InputFindings findings() const;

 private:
  // How many reviews have letters that were lost.
  struct Losses {
    std::size_t reviews = 0;
    std::size_t damaged = 0;
    std::string marked_encoding = {};  // of the last of them; ContentReader::marked_encoding()
  };

  void judge(const std::string& path, const Losses& losses);

  const InputOptions& options_;
  std::map<std::string, std::size_t> skipped_;
  Losses content_;
  Losses whole_files_;
  std::vector<std::string> wrong_encoding_;  // a line for each of the first files
  std::size_t more_wrong_encoding_ = 0;
  std::vector<std::string> remarks_;
  Tally tally_;
};

}  // namespace reviewrate
