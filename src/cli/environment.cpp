// CLI11 reads variables, too, but since 2.4 it silently takes the default where one is not valid. Here each is parsed
// as if it had been typed.
#include "environment.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <map>
#include <string_view>

#include "console.h"
#include "reviewrate/error.h"

namespace reviewrate::cli {
namespace {

/// REVIEWRATE_MAX_BODY_BYTES for max-body-bytes.
std::string variable_of(const std::string& option) {
  std::string name = "REVIEWRATE_" + option;
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return name;
}

/// Whether Kubernetes has set the variable: of each service NAME it tells every pod NAME_PORT, an address.
bool is_of_service(const std::string& variable, std::string_view value) {
  return variable == "REVIEWRATE_PORT" && value.starts_with("tcp://");
}

}  // namespace

void parse_with_environment(CLI::App& app, std::vector<std::string>& words) {
  std::map<const CLI::Option*, std::string> wrong;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_lnames().empty()) continue;
    const std::string& name = option->get_lnames().front();
    const std::string variable = variable_of(name);
    const char* const value = std::getenv(variable.c_str());
    if (name == "help" || name == "version" || value == nullptr || *value == '\0') continue;
    if (is_of_service(variable, value)) {
      print_notice(variable + " is not read: " + value + " is what Kubernetes tells of a service called reviewrate");
      continue;
    }
    try {
      app.parse(std::vector<std::string>{"--" + name + "=" + value});
    } catch (const CLI::ParseError& e) {
      wrong.emplace(option, variable + " in the environment: " + e.what());
    }
  }
  app.parse(words);
  for (const auto& [option, message] : wrong) {
    if (option->count() == 0) throw Error(ErrorKind::usage, message + " (see " + app.get_name() + " --help)");
  }
}

}  // namespace reviewrate::cli
