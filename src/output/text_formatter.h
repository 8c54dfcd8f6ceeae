// Records for people.
#pragma once

#include <memory>

#include "reviewrate/formatter.h"

namespace reviewrate {

/// A line a record: rating, label, score, id, passed fields and as much of the text as there is place for; or, to wrap,
/// the whole text below it.
std::unique_ptr<Formatter> make_text_formatter(const OutputOptions& options);

}  // namespace reviewrate
