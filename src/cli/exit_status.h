// The program's exit codes, all of them.
#pragma once

namespace reviewrate::cli {

enum ExitStatus : int {
  kOk = 0,
  kRecordsFailed = 1,  ///< some records are error records
  kUsage = 2,
  kFailed = 3,         ///< model, environment or output failed
  kGateFailed = 4,     ///< verify: the model does not give what it gave
  kInterrupted = 128,  ///< plus the signal's number
};

}  // namespace reviewrate::cli
