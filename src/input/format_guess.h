// The format of content that no name tells.
#pragma once

#include <string_view>

#include "reviewrate/input.h"

namespace reviewrate {

/// Whether most records are JSON objects with the text field, or all of it is an array of texts. There may be `more`.
bool is_mostly_json(std::string_view beginning, bool more, const InputOptions& options);

/// The format of content that no name tells; automatic: more must be seen first, which can only be if there is `more`.
/// `lines` stands for plain text.
InputFormat guess_format(std::string_view beginning, bool more, const InputOptions& options);

/// Whether the first line has a usual name between delimiters and yet reads as a sentence: no header, as
/// guess_format() sees it.
bool is_like_header(std::string_view beginning, const InputOptions& options);

/// Whether the first line looks like names of columns, none of them a usual one for a text, and all rows behind it have
/// as many delimiters. The last row may be cut off if there is `more`.
bool is_like_table(std::string_view beginning, bool more, const InputOptions& options);

}  // namespace reviewrate
