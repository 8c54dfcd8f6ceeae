// Options from the environment, as containers want them.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace reviewrate::cli {

/// Parses `words`, as CLI11 wants them, behind the environment: REVIEWRATE_MAX_BODY_BYTES gives what --max-body-bytes
/// does unless that is among the words; an empty variable is as good as none. Throws Error(usage) for a variable that
/// is not valid and counts, and what CLI11 throws for the words.
void parse_with_environment(CLI::App& app, std::vector<std::string>& words);

}  // namespace reviewrate::cli
