// reviewrate: parses, runs, and maps errors to exit codes; nothing else.
#include <exception>
#include <new>
#include <string>
#include <system_error>

#include "command.h"
#include "console.h"
#include "exit_status.h"
#include "process.h"
#include "reviewrate/error.h"
#include "reviewrate/output_stream.h"

namespace reviewrate::cli {
namespace {

int run(int argc, const char* const* argv) {
  const Invocation invocation = parse_command_line({argv + (argc > 0 ? 1 : 0), argv + argc});
  if (!invocation.run) {
    OutputStream stream("");
    stream.write(invocation.text);
    stream.close();
    return kOk;
  }
  const Interruption interruption;
  return invocation.run(interruption);
}

int run_and_report(int argc, const char* const* argv) {
  try {
    prepare_process();
    return run(argc, argv);
  } catch (const Error& e) {
    print_notice(e.what());
    return e.kind() == ErrorKind::usage ? kUsage : kFailed;
  } catch (const std::bad_alloc&) {
    print_notice("out of memory");
    return kFailed;
  } catch (const std::system_error& e) {  // no thread to be had, a folder that cannot be looked into
    print_notice(std::string("the system refuses something: ") + e.what());
    return kFailed;
  } catch (const std::exception& e) {
    print_notice(std::string("cannot go on: ") + e.what());
    return kFailed;
  }
}

}  // namespace
}  // namespace reviewrate::cli

int main(int argc, char** argv) { reviewrate::cli::finish_process(reviewrate::cli::run_and_report(argc, argv)); }
