// The format of one file's content: by the options, by its name or by what it holds; or why it is refused.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "names.h"
#include "reviewrate/input.h"

namespace reviewrate {

/// What is known of plain content (neither compressed nor an archive) when its format is chosen.
struct PlainContent {
  std::string path;           ///< in messages
  NameParts name;             ///< what that promises
  std::string_view seen;      ///< its first bytes
  bool more = false;          ///< there may be more of them
  bool inside = false;        ///< it was found in a folder or archive
  bool decompressed = false;  ///< a compression was taken off
};

class FormatChoice {
 public:
  /// `options` must outlive it.
  explicit FormatChoice(const InputOptions& options) : options_(options) {}

  /// The format that options or name say; automatic: the content has to.
  InputFormat promised(const NameParts& name) const;

  /// The format of the content; empty: more of it must be seen. Throws InputFailure for what is no text, or not what
  /// its name promises.
  std::optional<InputFormat> choose(const PlainContent& content);

  /// Throws InputFailure for a page such as servers send in the place of a file.
  void refuse_page(const PlainContent& content) const;

 private:
  static void refuse_uncompressed(const PlainContent& content, bool archive_only);
  InputFormat guess(const PlainContent& content);
  InputFormat lines_or_what_was_asked(const PlainContent& content);
  void tell_contradiction(const PlainContent& content, InputFormat format);
  void tell_once(const PlainContent& content, const char* notice);

  const InputOptions& options_;
  std::set<std::string_view> told_;  // notices that were given
};

}  // namespace reviewrate
