// Which fields of a record hold its text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reviewrate/input.h"

namespace reviewrate {

/// Whether a field that is called so usually holds a review, in whatever case.
bool is_usual_text_field(std::string_view name);

/// How many of the names are usual ones.
std::size_t count_usual_text_fields(const std::vector<std::string>& names);

/// The fields that --text-field asks for where no field has that very name: those between its commas; else none.
std::vector<std::string> listed_text_fields(const InputOptions& options);

/// The fields that hold the text of records with fields of these names: that of --text-field; else all that it lists;
/// else, where nothing was asked for, the only usual one. Empty: none can be told.
std::vector<std::string> find_text_fields(const std::vector<std::string>& names, const InputOptions& options);

/// Says, if that was not asked for, which field was taken.
void tell_text_field(const std::vector<std::string>& fields, const InputOptions& options);

}  // namespace reviewrate
