// What the program asks of its process: signals, waiting, CPUs, the terminal.
#pragma once

#include <atomic>
#include <cstddef>
#include <string>
#include <vector>

#include "reviewrate/input.h"

namespace reviewrate::cli {

/// Makes the process one that ends in order, to be called first: what stands in the place of a closed stdin, stdout or
/// stderr cannot be read or written, so that no file or pipe that is opened later is taken for it; a file size limit is
/// an error like a full disk; and a library that aborts, throws where nobody catches or exits by itself ends the
/// program with kFailed and one line.
void prepare_process();

/// Ends the program, all of whose files are closed. Destructors of static objects are left out: those of libtorch take
/// longer (0.07 s) than most short inputs.
[[noreturn]] void finish_process(int status);

/// Turns SIGINT, SIGTERM and SIGHUP into a flag and a wake-up, so that finished records are still written; where that
/// takes longer than most of a second, whatever the program waits for or computes, it is ended without what is
/// unfinished. A second signal ends it at once. One object at a time.
class Interruption {
 public:
  Interruption();

  /// True from the first signal on.
  const std::atomic<bool>& flag() const;

  /// The number of the signal that came, or 0.
  int signal() const;
};

/// Waits for input; also notices signals, and that nobody reads stdout any more: then the program dies of SIGPIPE as
/// other filters do, instead of living on until it next writes.
class InputWaiter : public Waiter {
 public:
  /// With `watch_stdout` false only signals are noticed (records go to a file).
  explicit InputWaiter(bool watch_stdout);
  ~InputWaiter() override;
  InputWaiter(const InputWaiter&) = delete;
  InputWaiter& operator=(const InputWaiter&) = delete;

  Event wait(int fd, bool may_block) override;
  void wake() override;

 private:
  int wake_up_;  // a counter that can be read once wake() was called
  bool watch_stdout_;
};

/// Bounds what libtorch remembers of the shapes it has computed. To be called before libtorch computes anything and
/// before there are threads; what the environment says goes first.
void bound_shape_caches(std::size_t workers);

/// The CPUs that this process may use: its affinity mask and its cgroup's quota, rounded up; at least 1.
std::size_t available_cpus();

/// Whether `fd` is a terminal that can move its cursor and knows colors.
bool is_rich_terminal(int fd);

/// The words that the program was called with, its own name included.
std::vector<std::string> command_words();

/// Columns of the terminal on `fd`, 80 where it does not tell.
std::size_t terminal_width(int fd);

}  // namespace reviewrate::cli
