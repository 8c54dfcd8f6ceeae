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
#include "reviewrate/text.h"

namespace reviewrate::cli {
namespace {

using nlohmann::json;

/// Takes a file's characters one by one and tells where records end.
class RecordCounter {
 public:
  explicit RecordCounter(const RecordShape& shape)
      : shape_(shape),
        lines_(shape.format == OutputFormat::jsonl),
        delimiter_(shape.format == OutputFormat::csv ? ',' : '\t') {
    // A quoted name may hold delimiters.
    bool quoted = false;
    std::string name;
    for (const char c : shape.header) {
      if (c == '"') {
        quoted = !quoted;
      } else if (quoted || (c != delimiter_ && c != '\n')) {
        name += c;
      } else {
        if (name == shape.failure) failure_column_ = columns_;
        ++columns_;
        name.clear();
      }
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
        if (column_ == failure_column_) failed_ = true;
        return false;
      }
    }
    return c == '\n';
  }

  /// Whether what was taken is a record, or the header.
  bool is_whole() {
    if (!lines_) return in_header_ ? record_ == shape_.header : column_ + 1 == columns_;
    const json parsed = json::parse(record_, nullptr, /*allow_exceptions=*/false);
    if (!parsed.is_object() || !record_.starts_with(shape_.begin)) return false;
    failed_ = parsed.contains(shape_.failure);
    return failed_ || std::all_of(shape_.rated.begin(), shape_.rated.end(),
                                  [&](const std::string& name) { return parsed.contains(name); });
  }

  /// Whether what was taken may be the first part of one.
  bool may_begin_one() const {
    const std::string_view begin = lines_ ? shape_.begin : in_header_ ? std::string_view(shape_.header) : "";
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
  const RecordShape& shape_;
  bool lines_;
  char delimiter_;
  std::size_t columns_ = 0;
  std::size_t failure_column_ = 0;
  std::string record_;
  bool in_header_ = true;
  bool quoted_ = false;
  bool failed_ = false;
  std::size_t column_ = 0;
};

}  // namespace

WrittenRecords count_written(const std::string& path, const RecordShape& shape) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorKind::output, path + ": cannot be read: " + std::strerror(errno));
  WrittenRecords written;
  RecordCounter counter(shape);
  const auto refuse = [&] {
    throw Error(ErrorKind::output, "--resume: " + path + ": what follows its first " +
                                       counted(written.records, "record") +
                                       " was not written by the run that its note tells of: it is left as it is");
  };
  std::vector<char> block(std::size_t{1} << 18);
  while (file.read(block.data(), static_cast<std::streamsize>(block.size())), file.gcount() > 0) {
    for (std::streamsize i = 0; i < file.gcount(); ++i) {
      if (!counter.take(block[static_cast<std::size_t>(i)])) continue;
      if (counter.has_nuls()) return written;  // a page that never reached the disk, also within a table's cell
      if (!counter.is_whole()) refuse();
      counter.end(written);
    }
  }
  if (file.bad()) throw Error(ErrorKind::output, path + ": cannot be read: " + std::strerror(errno));
  if (!counter.empty() && !counter.may_begin_one() && !counter.has_nuls()) refuse();
  return written;
}

}  // namespace reviewrate::cli
