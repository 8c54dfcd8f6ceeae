// Completions and the man page, made from the options themselves so that they cannot fall behind.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace reviewrate::cli {

/// `kind` is bash, zsh or fish for a completion script, or man for a page in roff.
std::string shell_help(const CLI::App& app, const std::string& kind);

}  // namespace reviewrate::cli
