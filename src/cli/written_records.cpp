// Each record is looked at, so that nothing but an interrupted run's own remains is ever cut off.
#include "written_records.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "reviewrate/error.h"

namespace reviewrate::cli {
namespace {

using nlohmann::json;

/// Takes a file's characters one by one and tells where records end.
class RecordCounter {
 public:
  RecordCounter(OutputFormat format, const std::string& header)
      : header_(header), lines_(format == OutputFormat::jsonl), delimiter_(format == OutputFormat::csv ? ',' : '\t') {
    columns_ = static_cast<std::size_t>(std::count(header.begin(), header.end(), delimiter_)) + 1;
    // A quoted name may hold delimiters.
    bool quoted = false;
    for (const char c : header) {
      if (c == '"') quoted = !quoted;
      if (quoted && c == delimiter_) --columns_;
    }
  }

  /// True after the last character of a record or of the header.
  bool take(char c) {
    record_ += c;
    if (!lines_) {
      if (c == '"') quoted_ = !quoted_;
      if (!quoted_ && c == delimiter_) {
        ++column_;
        return false;
      }
      if (quoted_ || c != '\n') {
        if (column_ == kErrorKindColumn) failed_ = true;
        return false;
      }
    }
    return c == '\n';
  }

  /// Whether what was taken is a record, or the header.
  bool is_whole() {
    if (!lines_) return in_header_ ? record_ == header_ : column_ + 1 == columns_;
    const json parsed = json::parse(record_, nullptr, /*allow_exceptions=*/false);
    failed_ = parsed.is_object() && parsed.contains("error");
    return parsed.is_object() && parsed.contains("id") && (failed_ || parsed.contains("label"));
  }

  /// Whether what was taken may be the first part of one.
  bool may_begin_one() const {
    const std::string_view begin = lines_ ? "{\"id\": " : in_header_ ? std::string_view(header_) : "";
    return begin.starts_with(record_) || record_.starts_with(begin);
  }

  bool has_nuls() const { return record_.find('\0') != std::string::npos; }

  /// Counts the record and forgets it.
  void end(WrittenRecords& written) {
    written.bytes += record_.size();
    if (!in_header_ || lines_) {
      ++written.records;
      if (failed_) ++written.failures;
    }
    in_header_ = quoted_ = failed_ = false;
    column_ = 0;
    record_.clear();
  }

  bool empty() const { return record_.empty(); }

 private:
  // A csv record failed if its error_kind is not empty; no column before it holds a delimiter unquoted.
  static constexpr std::size_t kErrorKindColumn = 9;

  std::string header_;
  bool lines_;
  char delimiter_;
  std::size_t columns_ = 0;
  std::string record_;
  bool in_header_ = true;
  bool quoted_ = false;
  bool failed_ = false;
  std::size_t column_ = 0;
};

}  // namespace

WrittenRecords count_written(const std::string& path, OutputFormat format, const std::string& header) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorKind::output, path + ": cannot be read: " + std::strerror(errno));
  WrittenRecords written;
  RecordCounter counter(format, header);
  const auto refuse = [&] {
    throw Error(ErrorKind::output,
                "--resume: " + path + ": what follows its first " + std::to_string(written.records) +
                    " records was not written by the run that its note tells of: it is left as it is");
  };
  std::vector<char> block(std::size_t{1} << 18);
  while (file.read(block.data(), static_cast<std::streamsize>(block.size())), file.gcount() > 0) {
    for (std::streamsize i = 0; i < file.gcount(); ++i) {
      if (!counter.take(block[static_cast<std::size_t>(i)])) continue;
      if (!counter.is_whole()) {
        if (counter.has_nuls()) return written;
        refuse();
      }
      counter.end(written);
    }
  }
  if (file.bad()) throw Error(ErrorKind::output, path + ": cannot be read: " + std::strerror(errno));
  if (!counter.empty() && !counter.may_begin_one() && !counter.has_nuls()) refuse();
  return written;
}

}  // namespace reviewrate::cli
