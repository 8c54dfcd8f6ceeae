// The one exception type that the library throws.
#pragma once

#include <stdexcept>
#include <string>

namespace reviewrate {

/// Who has to act on an error; the program maps it to its exit code (src/cli/exit_status.h).
enum class ErrorKind {
  usage,        ///< the command line asks for something that cannot be done
  input,        ///< an input as a whole cannot be read; bad single records are data (record.h), not exceptions
  model,        ///< a model package, vocabulary or TorchScript file is missing, damaged or unfit
  environment,  ///< the machine lacks something that was asked for
  output,       ///< a result could not be written
};

/// An error with a one-line message of the form "what: where: why".
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}

  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace reviewrate
