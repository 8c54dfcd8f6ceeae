// A command of the program, and the table of all of them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "process.h"

namespace CLI {
class App;
}

namespace reviewrate::cli {

/// Runs a command with the options that were parsed; gives the program's exit status. Throws Error.
using Run = std::function<int(const Interruption&)>;

/// Stands before a FILE that begins with a bracket while CLI11 has it.
inline constexpr char kShield = '\x01';

/// A row of the table. To add a command, write its file and add its row in commands.cpp.
struct Command {
  const char* name;
  const char* help;             ///< one line
  Run (*add)(CLI::App&);        ///< adds the command's options, and gives what runs it once they are parsed
  bool in_environment = false;  ///< its options can be given there, too
};

/// All commands; the first is the one that need not be named.
const std::vector<Command>& commands();

/// A command with its parser.
struct CommandParser {
  const Command* command;
  std::unique_ptr<CLI::App> app;
  Run run;
};

/// A parser for each command, in the order of the table.
std::vector<CommandParser> command_parsers();

/// What the words after the program's name ask for.
struct Invocation {
  std::string text;  ///< help or version, to be printed; then there is nothing to run
  Run run;
};

/// Finds the command among `words` and parses its options. Throws Error(usage).
Invocation parse_command_line(std::vector<std::string> words);

}  // namespace reviewrate::cli
