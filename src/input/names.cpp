// Names are bytes; only ASCII letters in them have two cases.
#include "names.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "reviewrate/text.h"
#include "reviewrate/utf8.h"

namespace reviewrate {
namespace {

// Of Spark, Hadoop, Databricks and Delta Lake, of macOS, of Windows, and the backups of editors.
bool is_marker(const std::string& name) {
  static constexpr std::array<std::string_view, 9> kMarkers = {"_success",   "_metadata",  "_common_metadata",
                                                               "_temporary", "_delta_log", "_spark_metadata",
                                                               "__macosx",   "thumbs.db",  "desktop.ini"};
  const std::string lower = ascii_lower(name);
  return lower.ends_with('~') || lower.starts_with("_committed_") || lower.starts_with("_started_") ||
         std::find(kMarkers.begin(), kMarkers.end(), lower) != kMarkers.end();
}

bool is_hexadecimal(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f'); }

}  // namespace

NameParts parts_of(const std::string& path) {
  static constexpr std::array<std::string_view, 4> kCompressed = {".gz", ".zst", ".xz", ".bz2"};
  static constexpr std::array<std::string_view, 6> kTars = {".tar", ".tgz", ".tzst", ".txz", ".tbz2", ".tbz"};
  std::string name = ascii_lower(path.substr(path.rfind('/') + 1));
  NameParts parts;
  for (const std::string_view suffix : kCompressed) {
    if (!parts.compressed && name.ends_with(suffix)) {
      parts.compressed = true;
      name.resize(name.size() - suffix.size());
    }
  }
  const std::size_t dot = name.rfind('.');
  if (dot != std::string::npos) parts.extension = name.substr(dot);
  parts.tar = std::find(kTars.begin(), kTars.end(), parts.extension) != kTars.end();
  parts.archive = parts.tar || parts.extension == ".zip";
  parts.compressed = parts.compressed || parts.archive;
  return parts;
}

std::string_view skip_reason(const std::string& path) {
  std::string_view reason;
  for (const std::filesystem::path& part : std::filesystem::path(path)) {
    const std::string& name = part.native();
    if (name.starts_with('.') && name != "." && name != "..") return "hidden";
    if (is_marker(name)) reason = "marker";
  }
  return reason;
}

bool is_included(const std::string& path, const std::vector<std::string>& globs) {
  return globs.empty() || std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) {
           return fnmatch(glob.c_str(), path.c_str(), 0) == 0;
         });
}

std::string id_of(const std::string& name) {
  std::string id;
  for (std::string_view rest = name; !rest.empty();) {
    const DecodedChar decoded = decode_code_point(rest);
    const bool escape =
        rest.size() >= 4 && rest.starts_with("\\x") && is_hexadecimal(rest[2]) && is_hexadecimal(rest[3]);
    for (const char c : rest.substr(0, decoded.length)) {
      if (decoded.valid && !escape) {
        id += c;
      } else {
        const auto byte = static_cast<unsigned char>(c);
        id += {'\\', 'x', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 0xF]};
      }
    }
    rest.remove_prefix(decoded.length);
  }
  return id;
}

}  // namespace reviewrate
