// Completions for bash, zsh and fish, and a man page, from a CLI11 App.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string_view>
#include <vector>

#include "command.h"
#include "exit_status.h"
#include "help.h"
#include "reviewrate/formatter.h"
#include "reviewrate/input.h"
#include "reviewrate/metrics.h"
#include "reviewrate/output_stream.h"
#include "reviewrate/printable.h"

namespace reviewrate::cli {
namespace {

using Parsers = std::vector<CommandParser>;

std::vector<const CLI::Option*> options(const CLI::App& app) {
  return app.get_options([](const CLI::Option* option) { return !option->get_positional(); });
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

std::string join(const std::vector<std::string>& words, const char* separator) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : separator) + word;
  return out;
}

/// The values that an option knows, separated by spaces; its type name lists them as a|b|c.
std::string choices(const CLI::Option& option) {
  std::string type = option.get_type_name();
  type = type.substr(0, type.find(':'));
  if (type == "COLUMN,...") return join(column_names(), " ");
  // Capitals are placeholders: DIR|FILE.
  if (type.find('|') == std::string::npos ||
      std::any_of(type.begin(), type.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) {
    return "";
  }
  std::replace(type.begin(), type.end(), '|', ' ');
  return type;
}

/// Whether its value is, or begins with, the name of a field of the inputs.
bool takes_field(const CLI::Option& option) { return option.get_type_name().starts_with("FIELD"); }

/// Whether its value is a measure and a number.
bool takes_measure(const CLI::Option& option) { return option.get_type_name() == "MEASURE=VALUE"; }

/// "accuracy= precision= ...".
std::string measures() {
  std::vector<std::string> words;
  for (std::size_t m = 0; m < kMeasureCount; ++m) {
    words.push_back(std::string(measure_name(static_cast<Measure>(m))) + "=");
  }
  return join(words, " ");
}

bool takes_file(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  return type.find("FILE") != std::string::npos || type.find("DIR") != std::string::npos;
}

std::vector<std::string> names(const CLI::Option& option) {
  std::vector<std::string> out;
  for (const std::string& name : option.get_snames()) out.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) out.push_back("--" + name);
  return out;
}

std::string command_names(const Parsers& parsers, const char* separator) {
  std::vector<std::string> out;
  for (const CommandParser& parser : parsers) out.emplace_back(parser.command->name);
  return join(out, separator);
}

/// `text` with a backslash before each of `special`.
std::string escaped(const std::string& text, std::string_view special) {
  std::string out;
  for (const char c : text) {
    if (special.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

/// Shell code that sets `command` to the first of `words` that is a command's name; `words` is shell code, too.
std::string find_command(const Parsers& parsers, const std::string& words) {
  return "  local command=classify word_before\n"
         "  for word_before in " +
         words + "; do\n    case $word_before in " + command_names(parsers, "|") +
         ") command=$word_before; break ;; esac\n  done\n";
}

/// Completes the words of `list` for bash, a line each, so that blanks in them split nothing.
std::string bash_words(const std::string& list) {
  return "mapfile -t COMPREPLY < <(compgen -W '" + list + "' -- \"$word\")";
}

std::string bash(const Parsers& parsers) {
  std::ostringstream values;
  std::ostringstream flags;
  for (const CommandParser& parser : parsers) {
    const Command* command = parser.command;
    std::vector<std::string> all;
    for (const CLI::Option* option : options(*parser.app)) {
      const std::vector<std::string> own = names(*option);
      all.insert(all.end(), own.begin(), own.end());
      const std::string words = takes_field(*option)       ? "_reviewrate_fields"
                                : takes_measure(*option)   ? "compopt -o nospace; " + bash_words(measures())
                                : choices(*option).empty() ? ""
                                                           : bash_words(choices(*option));
      if (words.empty()) continue;
      for (const std::string& name : own) {
        values << "    " << command->name << ':' << name << ") " << words << "; return ;;\n";
      }
    }
    flags << "      " << command->name << ") " << bash_words(join(all, " ")) << " ;;\n";
  }
  // Names of fields come from files: nothing in them may be run, as compgen -W would.
  return "# bash completion for reviewrate\n"
         "_reviewrate_fields() {\n"
         "  local name part=${word##*,}\n"
         "  while IFS= read -r name; do\n"
         "    [[ $name == \"$part\"* ]] && COMPREPLY+=(\"${word%\"$part\"}$(printf %q \"$name\")\")\n"
         "  done < <(command reviewrate shell-help fields -- \"${COMP_WORDS[@]:1}\" 2>/dev/null)\n"
         "}\n"
         "_reviewrate() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} files\n" +
         find_command(parsers, "\"${COMP_WORDS[@]:1:COMP_CWORD-1}\"") +
         "  COMPREPLY=()\n"
         "  case $command:$before in\n" +
         values.str() +
         "  esac\n"
         "  if [[ $word == -* ]]; then\n"
         "    case $command in\n" +
         flags.str() +
         "    esac\n"
         "  else\n"
         "    compopt -o filenames 2>/dev/null  # bash then quotes what needs it\n"
         "    ((COMP_CWORD == 1)) && " +
         bash_words(command_names(parsers, " ")) +
         "\n"
         "    mapfile -t files < <(compgen -f -- \"$word\")\n"
         "    COMPREPLY+=(\"${files[@]}\")\n"
         "  fi\n"
         "}\n"
         "complete -F _reviewrate reviewrate\n";
}

/// Text inside '...[text]'.
std::string zsh_text(const std::string& text) {
  std::string out;
  for (const char c : escaped(text, "\\[]:")) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out;
}

std::string zsh(const Parsers& parsers) {
  std::ostringstream out;
  out << "#compdef reviewrate\n"
      << "_reviewrate_measures() { compadd -S '' -- " << measures() << " }\n"
      << "_reviewrate_fields() {\n"
         "  local -a names\n"
         "  names=(\"${(@f)$(command reviewrate shell-help fields -- \"${(@Q)words[2,-1]}\" 2>/dev/null)}\")\n"
         "  compset -P '*,'\n"
         "  compadd -a names\n"
         "}\n"
      << "_reviewrate() {\n"
      << find_command(parsers, "\"${(@)words[2,CURRENT-1]}\"") << "  case $command in\n";
  for (const CommandParser& parser : parsers) {
    const Command* command = parser.command;
    out << "    " << command->name << ")\n      _arguments -s";
    for (const CLI::Option* option : options(*parser.app)) {
      for (const std::string& name : names(*option)) {
        out << " \\\n        '*" << name << "[" << zsh_text(option->get_description()) << "]";
        if (takes_field(*option)) {
          out << ":field:_reviewrate_fields";
        } else if (takes_measure(*option)) {
          out << ":measure:_reviewrate_measures";
        } else if (!choices(*option).empty()) {
          out << ":value:(" << choices(*option) << ")";
        } else if (takes_value(*option)) {
          out << (takes_file(*option) ? ":file:_files" : ":value:");
        }
        out << "'";
      }
    }
    out << " \\\n        '*:file:_files' ;;\n";
  }
  out << "  esac\n  ((CURRENT == 2)) && compadd " << command_names(parsers, " ") << "\n}\n_reviewrate \"$@\"\n";
  return out.str();
}

std::string fish(const Parsers& parsers) {
  std::ostringstream out;
  out << "# fish completion for reviewrate\n";
  const std::string all = command_names(parsers, " ");
  for (const CommandParser& parser : parsers) {
    const Command* command = parser.command;
    out << "complete -c reviewrate -n __fish_use_subcommand -a " << command->name << " -d '"
        << escaped(command->help, "'\\") << "'\n";
    // classify need not be named.
    const std::string condition =
        &parser == &parsers.front()
            ? "not __fish_seen_subcommand_from " + all + "; or __fish_seen_subcommand_from classify"
            : std::string("__fish_seen_subcommand_from ") + command->name;
    for (const CLI::Option* option : options(*parser.app)) {
      out << "complete -c reviewrate -n '" << condition << "'";
      for (const std::string& name : option->get_snames()) out << " -s " << name;
      for (const std::string& name : option->get_lnames()) out << " -l " << name;
      if (takes_field(*option)) {
        out << " -xa '(command reviewrate shell-help fields -- (commandline -opc)[2..-1] 2>/dev/null)'";
      } else if (takes_measure(*option)) {
        out << " -xa '" << measures() << "'";
      } else if (!choices(*option).empty()) {
        out << " -xa '" << choices(*option) << "'";
      } else if (takes_value(*option)) {
        out << (takes_file(*option) ? " -rF" : " -x");
      }
      out << " -d '" << escaped(option->get_description(), "'\\") << "'\n";
    }
  }
  return out.str();
}

/// Text as roff takes it: no line may begin with a point, and a hyphen is a minus.
std::string roff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) {
      out += "\\&";
      out += c;
    } else {
      out += c;
    }
  }
  return out;
}

std::string man(const Parsers& parsers) {
  std::ostringstream out;
  out << ".TH REVIEWRATE 1 \"\" \"reviewrate " REVIEWRATE_VERSION "\"\n.SH NAME\nreviewrate \\- "
      << "rate reviews: a label, its probability and a 1\\-10 rating for each"
      << "\n.SH SYNOPSIS\n.B reviewrate\n[\\fICOMMAND\\fR] [\\fIOPTIONS\\fR] [\\fIFILE\\fR...]\n"
      << ".SH COMMANDS\n";
  for (const CommandParser& parser : parsers) {
    const Command* command = parser.command;
    out << ".SS " << command->name << "\n" << roff(command->help) << ".\n";
    const std::string footer = parser.app->get_footer();
    out << ".nf\n" << roff(footer.substr(0, footer.find("\n\n"))) << "\n.fi\n";
    for (const CLI::Option* option : options(*parser.app)) {
      std::string type = option->get_type_name();
      out << ".TP\n\\fB" << roff(join(names(*option), ", ")) << "\\fR";
      if (takes_value(*option)) out << " \\fI" << roff(type.substr(0, type.find(':'))) << "\\fR";
      out << "\n" << roff(option->get_description()) << "\n";
    }
  }
  const auto section = [&](const HelpSection& s) {
    std::string title = s.title;
    std::transform(title.begin(), title.end(), title.begin(), [](unsigned char c) { return std::toupper(c); });
    out << ".SH " << title << "\n.nf\n" << roff(s.text) << "\n.fi\n";
  };
  section(output_fields());
  for (const HelpSection& general : general_sections()) section(general);
  return out.str();
}

/// The fields of the first record in the first of `words` that is a file with some, a line each.
std::string fields(const std::vector<std::string>& words) {
  InputOptions options;
  options.annotate = true;
  options.limit = 1;
  InputWaiter waiter(/*watch_stdout=*/true);
  for (std::string file : words) {
    if (file.starts_with(kShield)) file.erase(0, 1);
    std::error_code error;
    if (!std::filesystem::is_regular_file(file, error)) continue;
    const auto source = open_source({}, {file}, options, waiter);
    Review review;
    const bool read = source->next(review, /*may_block=*/true) == Source::Status::review;
    if (read && !review.has_fields && !review.failure) continue;  // lines
    const std::vector<std::string> names = source->columns();
    if (!names.empty()) return printable_lines(join(names, "\n")) + '\n';
  }
  return "";
}

}  // namespace

Run add_shell_help(CLI::App& app) {
  const auto kind = std::make_shared<std::string>();
  const auto words = std::make_shared<std::vector<std::string>>();
  app.add_option("KIND", *kind,
                 "bash, zsh or fish for a completion script, man for a page in roff, fields for the "
                 "names of a file's fields")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish", "man", "fields"}).description(""))
      ->type_name("");
  app.add_option("WORD", *words, "For fields: the words of a command line, files among them")->type_name("");
  add_footer(app,
             "Example: reviewrate shell-help bash \\\n"
             "             > ~/.local/share/bash-completion/completions/reviewrate\n"
             "Example: reviewrate shell-help fish > ~/.config/fish/completions/reviewrate.fish\n"
             "Example: reviewrate shell-help zsh > ~/.zfunc/_reviewrate\n"
             "             with fpath+=~/.zfunc before compinit in ~/.zshrc\n"
             "Example: reviewrate shell-help man | man -l -");
  return [kind, words](const Interruption&) {
    const Parsers parsers = command_parsers();
    OutputStream stream("");
    stream.write(*kind == "bash"   ? bash(parsers)
                 : *kind == "zsh"  ? zsh(parsers)
                 : *kind == "fish" ? fish(parsers)
                 : *kind == "man"  ? man(parsers)
                                   : fields(*words));
    stream.close();
    return kOk;
  };
}

}  // namespace reviewrate::cli
