// Lines of bounded length out of blocks of bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "reviewrate/text.h"

namespace reviewrate {

inline constexpr std::string_view kBom = "\xEF\xBB\xBF";  ///< the byte order mark in UTF-8

/// Lines of bounded length: \n or \r\n ends one, and so does the end of the input if something stands before it.
class LineSplitter {
 public:
  explicit LineSplitter(std::size_t bound) : bound_(bound) {}

  // True: line() holds the next line, or too_long() says that it was longer than the bound, and dropped.
  bool next(std::string_view& input, bool last) {
    if (whole_) {
      line_.clear();
      too_long_ = started_ = whole_ = false;
    }
    const std::size_t newline = input.find('\n');
    const bool found = newline != std::string_view::npos;
    const std::string_view piece = input.substr(0, newline);
    started_ = started_ || !piece.empty();
    // Four bytes more, because a byte order mark and \r do not count.
    if (line_.size() + piece.size() > bound_ + 4) {
      too_long_ = true;
      release(line_);
    }
    if (!too_long_) line_ += piece;
    input.remove_prefix(found ? newline + 1 : input.size());
    if (!found && !(last && started_)) return false;
    whole_ = true;
    ++number_;
    if (found && line_.ends_with('\r')) line_.pop_back();
    if (number_ == 1 && line_.starts_with(kBom)) {
      line_.erase(0, kBom.size());
      if (line_.empty() && !found) return false;  // nothing but the mark
    }
    too_long_ = too_long_ || line_.size() > bound_;
    return true;
  }

  std::string& line() { return line_; }
  bool too_long() const { return too_long_; }
  std::size_t number() const { return number_; }  // from 1

 private:
  std::size_t bound_;
  std::string line_;
  std::size_t number_ = 0;
  bool too_long_ = false;
  bool started_ = false;
  bool whole_ = false;
};

}  // namespace reviewrate
