// How help looks, and what it says beside the options.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
class FormatterBase;
}  // namespace CLI

namespace reviewrate::cli {

/// Formats the help of a command: groups of options, with their texts wrapped to the terminal.
std::shared_ptr<CLI::FormatterBase> help_formatter();

/// The options that are added from now on stand below this heading.
void begin_group(CLI::App& app, const char* heading);

/// What the end of a command's help says, and the man page.
struct HelpSection {
  const char* title;
  const char* text;  ///< lines, no more than 80 wide, without the last line end
};

/// What holds for every command: exit codes, environment, files.
const std::vector<HelpSection>& general_sections();

/// The fields of the records that classify writes.
const HelpSection& output_fields();

/// Ends the command's help with an example, and the sections; with those fields too, if it writes such records.
void add_footer(CLI::App& app, const std::string& example, bool has_output_fields = false);

}  // namespace reviewrate::cli
