// The table of commands, and the way from the words of a command line to one of them.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "command.h"
#include "environment.h"
#include "help.h"
#include "options.h"
#include "reviewrate/error.h"
#include "reviewrate/terminal_text.h"
#include "reviewrate/torch_model.h"

namespace reviewrate::cli {

// Each in the file of its name.
Run add_classify(CLI::App& app);
Run add_eval(CLI::App& app);
Run add_diff(CLI::App& app);
Run add_tokenize(CLI::App& app);
Run add_verify(CLI::App& app);
Run add_serve(CLI::App& app);
Run add_bench(CLI::App& app);
Run add_info(CLI::App& app);
Run add_shell_help(CLI::App& app);

const std::vector<Command>& commands() {
  static const std::vector<Command> table = {
      {"classify", "Rate reviews: label and 1-10 rating of each (the default command)", add_classify},
      {"eval", "Measure the model on labelled reviews, and hold gates", add_eval},
      {"diff", "Compare two files of predictions by id", add_diff},
      {"tokenize", "Print the token ids of reviews as jsonl", add_tokenize},
      {"verify", "Run the model package's reference texts and compare", add_verify},
      {"serve", "Answer over HTTP: a page, and the API of common servers", add_serve, /*in_environment=*/true},
      {"bench", "Time the program on these reviews, stage by stage", add_bench},
      {"info", "Describe the model package and this program as JSON", add_info},
      {"shell-help", "Print completions for bash, zsh or fish, or the manual page", add_shell_help},
  };
  return table;
}

std::vector<CommandParser> command_parsers() {
  std::vector<CommandParser> parsers;
  for (const Command& command : commands()) {
    const bool is_default = parsers.empty();
    auto app =
        std::make_unique<CLI::App>(command.help, is_default ? "reviewrate" : std::string("reviewrate ") + command.name);
    // Of an option given twice the last one counts, so that what an alias or script sets can be changed behind it;
    // options of lists are collected all the same.
    app->formatter(help_formatter());
    app->option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    app->set_version_flag("-V,--version", "reviewrate " REVIEWRATE_VERSION " (libtorch " + torch_version() + ")");
    Run run = command.add(*app);
    for (CLI::Option* option : app->get_options()) {
      // A review and a prefix may be empty.
      if (option->get_items_expected_max() == 0 || option->check_lname("text") || option->check_lname("prefix"))
        continue;
      option->check(CLI::Validator([](std::string& value) { return refuse_empty(value); }, ""));
    }
    parsers.push_back({&command, std::move(app), std::move(run)});
  }
  return parsers;
}

namespace {

/// Whether the next word is the value of `word`, an option of any command.
bool takes_next_word(const std::vector<CommandParser>& parsers, const std::string& word) {
  const bool is_long = word.starts_with("--");
  if (is_long && word.find('=') != std::string::npos) return false;
  const auto takes_value = [&](const std::string& name) {
    return std::any_of(parsers.begin(), parsers.end(), [&](const CommandParser& parser) {
      const CLI::Option* option = parser.app->get_option_no_throw(name);
      return option != nullptr && option->get_items_expected_max() > 0;
    });
  };
  if (is_long) return takes_value(word);
  // Short options may stand together; the first that takes a value takes what is left of the word, if there is any.
  for (std::size_t i = 1; i < word.size(); ++i) {
    if (takes_value(std::string("-") + word[i])) return i + 1 == word.size();
  }
  return false;
}

/// How many letters have to be inserted, deleted, replaced, or swapped with their neighbour, to make `b` of `a`.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

/// Each of `names` that `name`, which is none of them, may have been meant for: the nearest, and not too far away. One
/// may be left out from a hyphen on: label for label-field.
std::vector<std::string> meant(const std::string& name, const std::vector<std::string>& names) {
  constexpr std::size_t kPrefix = 3;
  std::size_t least = name.size() < 5 ? 1 : 2;
  std::vector<std::string> out;
  for (const std::string& other : names) {
    std::size_t found = distance(name, other);
    for (std::size_t end = other.find('-'); end != other.npos; end = other.find('-', end + 1)) {
      found = std::min(found, distance(name, std::string_view(other).substr(0, end)));
    }
    if (name.size() >= kPrefix && other.starts_with(name)) found = 0;
    if (found > least) continue;
    if (found < least) out.clear();
    least = found;
    out.push_back(other);
  }
  return out;
}

/// What is wrong with the first of the words that no option of the command takes, and which one may be meant.
std::string unknown_option(const std::vector<CommandParser>& parsers, const CommandParser& chosen) {
  const std::vector<std::string> words = chosen.app->remaining();
  const std::string word = words.empty() ? "" : words.front().substr(0, words.front().find('='));
  const std::string see = " (see " + chosen.app->get_name() + " --help)";
  if (!word.starts_with('-')) return word + ": is more than is expected here" + see;
  for (const CommandParser& other : parsers) {
    if (other.app->get_option_no_throw(word) == nullptr) continue;
    return word + ": is an option of " + other.command->name + ", not of " + chosen.command->name +
           " (see reviewrate " + other.command->name + " --help)";
  }
  std::vector<std::string> names;
  for (const CLI::Option* option : chosen.app->get_options()) {
    names.insert(names.end(), option->get_lnames().begin(), option->get_lnames().end());
  }
  std::string list;
  for (const std::string& name : meant(word.substr(word.find_first_not_of('-')), names)) {
    list += (list.empty() ? "" : " or ") + std::string("--") + name;
  }
  return word + ": there is no such option" + (list.empty() ? "" : ": did you mean " + list + "?") + see;
}

/// Throws Error(usage) if the word, which stands where a command may, is no file but almost a command's name.
void refuse_misspelt(const std::string& word) {
  std::error_code error;
  if (std::filesystem::exists(std::filesystem::symlink_status(word, error))) return;
  std::vector<std::string_view> names = {"help"};
  for (const Command& command : commands()) names.emplace_back(command.name);
  for (const std::string_view name : names) {
    constexpr std::size_t kPrefix = 3;
    const bool longer_or_shorter =
        std::min(word.size(), name.size()) >= kPrefix && (word.starts_with(name) || name.starts_with(word));
    const bool only_letters = word.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") == std::string::npos;
    if (!only_letters || (!longer_or_shorter && distance(word, name) > (name.size() < 6 ? 1U : 2U))) continue;
    throw Error(ErrorKind::usage, word + ": is neither a command nor a file: did you mean \"reviewrate " +
                                      std::string(name) + "\"? (see reviewrate --help)");
  }
}

/// The command is the first word that is neither an option nor an option's value; it is taken out of `words`. Where
/// that is no command's name the default command is meant. Throws Error(usage) if it is almost one's.
CommandParser& find_command(std::vector<CommandParser>& parsers, std::vector<std::string>& words) {
  for (auto word = words.begin(); word != words.end() && *word != "--"; ++word) {
    if (word->size() > 1 && word->front() == '-') {
      if (takes_next_word(parsers, *word) && ++word == words.end()) break;
      continue;
    }
    const auto named = std::find_if(parsers.begin(), parsers.end(),
                                    [&](const CommandParser& parser) { return *word == parser.command->name; });
    if (named == parsers.end()) {
      refuse_misspelt(*word);
      break;
    }
    words.erase(word);
    return *named;
  }
  return parsers.front();
}

/// Rewrites what CLI11 2.1 would take for something else: --option= with nothing behind it (it would take the next word
/// for the value), and a FILE called [a, b] (it would take that for a list of two).
void shield_words(const std::vector<CommandParser>& parsers, std::vector<std::string>& words) {
  bool only_files = false;
  for (auto word = words.begin(); word != words.end(); ++word) {
    const bool is_file = only_files || word->size() < 2 || word->front() != '-';
    if (is_file) {
      if (word->starts_with('[')) word->insert(0, 1, kShield);
    } else if (*word == "--") {
      only_files = true;
    } else if (takes_next_word(parsers, *word)) {
      if (++word == words.end()) break;
    } else if (word->starts_with("--") && word->find('=') == word->size() - 1) {
      word->pop_back();
      word = words.insert(word + 1, "");
    }
  }
}

std::string help_of(const std::vector<CommandParser>& parsers, const CommandParser& chosen) {
  if (&chosen != &parsers.front()) return chosen.app->help();
  std::string list = "\nCommands (reviewrate COMMAND --help tells more; without one it is classify):\n";
  for (const CommandParser& parser : parsers) {
    std::string name = parser.command->name;
    name.resize(12, ' ');
    list += "  " + name + parser.command->help + "\n";
  }
  return chosen.app->help() + list;
}

}  // namespace

Invocation parse_command_line(std::vector<std::string> words) {
  std::vector<CommandParser> parsers = command_parsers();
  if (!words.empty() && words.front() == "help") {
    words.erase(words.begin());
    words.emplace_back("--help");
  }
  const CommandParser& chosen = find_command(parsers, words);
  shield_words(parsers, words);
  std::reverse(words.begin(), words.end());  // as CLI11 wants a vector
  try {
    chosen.command->in_environment ? parse_with_environment(*chosen.app, words) : chosen.app->parse(words);
  } catch (const CLI::CallForVersion&) {
    return {chosen.app->version() + '\n', {}};
  } catch (const CLI::Success&) {
    return {fitted(help_of(parsers, chosen), terminal_width(STDOUT_FILENO)), {}};
  } catch (const CLI::ExtrasError&) {
    throw Error(ErrorKind::usage, unknown_option(parsers, chosen));
  } catch (const CLI::ParseError& e) {
    throw Error(ErrorKind::usage, std::string(e.what()) + " (see " + chosen.app->get_name() + " --help)");
  }
  return {"", chosen.run};
}

}  // namespace reviewrate::cli
