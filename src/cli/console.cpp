// The one place that writes messages to stderr.
#include "console.h"

#include <iostream>

namespace reviewrate::cli {

void print_notice(const std::string& message) {
  std::string line = "reviewrate: " + message;
  for (char& c : line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  std::cerr << line + '\n';
}

void print_findings(const InputFindings& findings) {
  for (const std::string& problem : findings.problems) print_notice(problem);
  for (const std::string& remark : findings.remarks) print_notice(remark);
}

}  // namespace reviewrate::cli
