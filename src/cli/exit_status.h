// The program's exit codes, all of them.
#pragma once

namespace reviewrate::cli {

enum ExitStatus : int {
  kOk = 0,
  kRecordsFailed = 1,  ///< some records are error records
  kUsage = 2,
  kFailed = 3,         ///< model, environment or output failed
  kGateFailed = 4,     ///< eval, diff, verify: something is worse than it has to be
  kInterrupted = 128,  ///< plus the signal's number
};

}  // namespace reviewrate::cli
