// Completions for bash, zsh and fish, and a man page, from a CLI11 App.
#include "shell_help.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>
#include <string_view>
#include <vector>

namespace reviewrate::cli {
namespace {

std::vector<const CLI::App*> commands(const CLI::App& app) {
  // An empty group hides a command from the help, and so from here.
  return app.get_subcommands([](const CLI::App* command) { return !command->get_group().empty(); });
}

std::vector<const CLI::Option*> options(const CLI::App& app) {
  return app.get_options([](const CLI::Option* option) { return !option->get_positional(); });
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

/// The values that an option knows, separated by spaces; its type name lists them as a|b|c.
std::string choices(const CLI::Option& option) {
  std::string type = option.get_type_name();
  type = type.substr(0, type.find(':'));
  // Capitals are placeholders: DIR|FILE.
  if (type.find('|') == std::string::npos ||
      std::any_of(type.begin(), type.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) {
    return "";
  }
  std::replace(type.begin(), type.end(), '|', ' ');
  return type;
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

std::string join(const std::vector<std::string>& words, const char* separator) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : separator) + word;
  return out;
}

std::string command_names(const CLI::App& app, const char* separator) {
  std::vector<std::string> out;
  for (const CLI::App* command : commands(app)) out.push_back(command->get_name());
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

std::string bash(const CLI::App& app) {
  std::ostringstream values;
  std::ostringstream flags;
  for (const CLI::App* command : commands(app)) {
    std::vector<std::string> all;
    for (const CLI::Option* option : options(*command)) {
      const std::vector<std::string> own = names(*option);
      all.insert(all.end(), own.begin(), own.end());
      if (choices(*option).empty()) continue;
      for (const std::string& name : own) {
        values << "    " << command->get_name() << ':' << name << ") COMPREPLY=($(compgen -W '" << choices(*option)
               << "' -- \"$word\")); return ;;\n";
      }
    }
    flags << "      " << command->get_name() << ") COMPREPLY=($(compgen -W '" << join(all, " ")
          << "' -- \"$word\")) ;;\n";
  }
  return "# bash completion for reviewrate\n"
         "_reviewrate() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=classify\n"
         "  case ${COMP_WORDS[1]} in " +
         command_names(app, "|") +
         ") command=${COMP_WORDS[1]} ;; esac\n"
         "  case $command:$before in\n" +
         values.str() +
         "  esac\n"
         "  if [[ $word == -* ]]; then\n"
         "    case $command in\n" +
         flags.str() +
         "    esac\n"
         "  else\n"
         "    COMPREPLY=($(compgen -f -- \"$word\"))\n"
         "    ((COMP_CWORD == 1)) && COMPREPLY+=($(compgen -W '" +
         command_names(app, " ") +
         "' -- \"$word\"))\n"
         "  fi\n"
         "}\n"
         "complete -o filenames -F _reviewrate reviewrate\n";
}

/// Text inside '...[text]'.
std::string zsh_text(const std::string& text) {
  std::string out;
  for (const char c : escaped(text, "[]:")) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out;
}

std::string zsh(const CLI::App& app) {
  std::ostringstream out;
  out << "#compdef reviewrate\n_reviewrate() {\n  local command=classify\n  case $words[2] in "
      << command_names(app, "|") << ") command=$words[2] ;; esac\n  case $command in\n";
  for (const CLI::App* command : commands(app)) {
    out << "    " << command->get_name() << ")\n      _arguments -s";
    for (const CLI::Option* option : options(*command)) {
      for (const std::string& name : names(*option)) {
        out << " \\\n        '*" << name << "[" << zsh_text(option->get_description()) << "]";
        if (!choices(*option).empty()) {
          out << ":value:(" << choices(*option) << ")";
        } else if (takes_value(*option)) {
          out << (takes_file(*option) ? ":file:_files" : ":value:");
        }
        out << "'";
      }
    }
    out << " \\\n        '*:file:_files' ;;\n";
  }
  out << "  esac\n  ((CURRENT == 2)) && compadd " << command_names(app, " ") << "\n}\n_reviewrate \"$@\"\n";
  return out.str();
}

std::string fish(const CLI::App& app) {
  std::ostringstream out;
  out << "# fish completion for reviewrate\n";
  const std::string all = command_names(app, " ");
  for (const CLI::App* command : commands(app)) {
    out << "complete -c reviewrate -n __fish_use_subcommand -a " << command->get_name() << " -d '"
        << escaped(command->get_description(), "'\\") << "'\n";
    // classify need not be named.
    const std::string condition =
        command->get_name() == "classify"
            ? "not __fish_seen_subcommand_from " + all + "; or __fish_seen_subcommand_from classify"
            : "__fish_seen_subcommand_from " + command->get_name();
    for (const CLI::Option* option : options(*command)) {
      out << "complete -c reviewrate -n '" << condition << "'";
      for (const std::string& name : option->get_snames()) out << " -s " << name;
      for (const std::string& name : option->get_lnames()) out << " -l " << name;
      if (!choices(*option).empty()) {
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

std::string man(const CLI::App& app) {
  std::ostringstream out;
  out << ".TH REVIEWRATE 1 \"\" \"reviewrate " REVIEWRATE_VERSION "\"\n.SH NAME\nreviewrate \\- "
      << roff(app.get_description())
      << "\n.SH SYNOPSIS\n.B reviewrate\n[\\fICOMMAND\\fR] [\\fIOPTIONS\\fR] [\\fIFILE\\fR...]\n"
      << ".SH COMMANDS\n";
  for (const CLI::App* command : commands(app)) {
    out << ".SS " << command->get_name() << "\n" << roff(command->get_description()) << ".\n";
    for (const CLI::Option* option : options(*command)) {
      std::string type = option->get_type_name();
      out << ".TP\n\\fB" << roff(join(names(*option), ", ")) << "\\fR";
      if (takes_value(*option)) out << " \\fI" << roff(type.substr(0, type.find(':'))) << "\\fR";
      out << "\n" << roff(option->get_description()) << "\n";
    }
  }
  out << ".SH NOTES\n.nf\n" << roff(app.get_footer()) << "\n.fi\n";
  return out.str();
}

}  // namespace

std::string shell_help(const CLI::App& app, const std::string& kind) {
  if (kind == "bash") return bash(app);
  if (kind == "zsh") return zsh(app);
  if (kind == "fish") return fish(app);
  return man(app);
}

}  // namespace reviewrate::cli
