// The page for people; its HTML is page.html, which the build puts into the program.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "reviewrate/batch.h"
#include "reviewrate/record.h"

namespace reviewrate::server {

/// The page with an empty form. `explains`: one can ask why.
std::string page_without_result(bool explains);

/// The page with the review in its form and what the model says of it. `outcome` has a prediction; `positive` is the
/// name of the positive label, empty if there is none.
std::string page_with_result(const Outcome& outcome, const std::vector<std::string>& labels,
                             const std::string& positive, LongText long_text);

/// The headers that go with the page: no script, style or request but its own.
std::vector<std::pair<std::string, std::string>> page_headers();

}  // namespace reviewrate::server
