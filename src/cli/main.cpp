// reviewrate: parses, runs, and maps errors to exit codes; nothing else.
#include <exception>
#include <iostream>
#include <string>

#include "arguments.h"
#include "commands.h"
#include "exit_status.h"
#include "process.h"
#include "record_writer.h"
#include "reviewrate/error.h"

namespace {

using namespace reviewrate::cli;  // the program's own namespace, in its one function

int run(int argc, const char* const* argv) {
  std::string help;
  const Arguments arguments = parse_arguments(argc, argv, help);
  if (!help.empty()) {
    OutputStream stream("");
    stream.write(help);
    stream.close();
    return kOk;
  }
  bound_shape_caches(arguments.workers > 0 ? arguments.workers : available_cpus());
  const Interruption interruption;
  if (arguments.command == "eval") return eval(arguments, interruption);
  if (arguments.command == "diff") return diff(arguments, interruption);
  if (arguments.command == "tokenize") return tokenize(arguments, interruption);
  if (arguments.command == "bench") return bench(arguments, interruption);
  if (arguments.command == "verify") return verify(arguments, interruption);
  if (arguments.command == "info") return info(arguments);
  return classify(arguments, interruption);
}

/// One line on stderr, whatever the message holds.
void report(std::string message) {
  for (char& c : message) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  std::cerr << "reviewrate: " << message << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    fill_standard_descriptors();
    return run(argc, argv);
  } catch (const reviewrate::Error& e) {
    report(e.what());
    return e.kind() == reviewrate::ErrorKind::usage ? kUsage : kFailed;
  } catch (const std::bad_alloc&) {
    report("out of memory");
    return kFailed;
  } catch (const std::exception& e) {
    report(std::string("internal error: ") + e.what());
    return kFailed;
  }
}
