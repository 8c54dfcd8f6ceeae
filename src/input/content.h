// What the beginning of a file says of the rest.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "reviewrate/record_reader.h"

namespace reviewrate {

/// As much of a file's beginning is looked at, at most.
inline constexpr std::size_t kLookAhead = 64 * 1024;

/// As much tells whether content is text.
inline constexpr std::size_t kMagicLength = 512;

/// `text` behind its byte order marks.
std::string_view without_mark(std::string_view text);

/// What the content, which is no text, seems to be, and what can be done: "a PDF document; ...". Empty: nothing that is
/// known.
std::string binary_kind(std::string_view beginning);

/// Parquet or Arrow, if that is what begins so; else automatic.
InputFormat binary_format(std::string_view beginning);

/// The same as binary_kind() for bytes that stand in no text, whatever they are: NULs, or control characters among
/// bytes that are not UTF-8. With `strict`, one NUL anywhere is enough, else it must stand in the first kMagicLength
/// bytes.
std::string unreadable_kind(std::string_view beginning, bool strict);

/// As much of a zip archive tells what it is: its first header with a name of usual length.
inline constexpr std::size_t kZipNameEnd = 128;

/// What a zip archive is a part of, by its name and its first member: "an Excel workbook; ...". Empty: an archive like
/// any other.
std::string zip_kind(std::string_view beginning, const std::string& extension);

/// What stands in the place of data that could not be fetched: "an HTML page, ...". Empty: nothing of that kind, or
/// `extension` says, or else the user (`meant`), that HTML and XML are meant.
std::string page_kind(std::string_view beginning, const std::string& extension, bool meant);

/// A byte order mark: what iconv calls the encoding, and the mark's length. UTF-8's is "UTF-8".
struct Mark {
  std::string encoding;
  std::size_t length;
};

std::optional<Mark> byte_order_mark(std::string_view beginning);

/// Whether the first byte that is not blank begins a JSON object or array.
bool begins_as_json(std::string_view beginning);

/// Whether it begins with the name of a JSON object's member.
bool begins_as_object(std::string_view beginning);

}  // namespace reviewrate
