// Signals by a self-pipe and a timer, CPUs by affinity and cgroup, libtorch's caches by the environment.
#include "process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <exception>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>

#include "console.h"
#include "exit_status.h"
#include "last_words.h"
#include "reviewrate/error.h"
#include "reviewrate/output_file.h"
#include "reviewrate/output_stream.h"

namespace reviewrate::cli {
namespace {

// A signal handler reaches nothing but globals.
std::atomic<bool> g_interrupted{false};
std::atomic<int> g_signal{0};
std::array<int, 2> g_wake_up = {-1, -1};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

timer_t g_timer{};
bool g_has_timer = false;

// Together less than a second.
constexpr long kGraceMilliseconds = 550;  // for finished records to be written
constexpr long kWriteMilliseconds = 10;   // between looks at whether a write still goes on
constexpr int kMostWriteWaits = 20;

void set_timer(long milliseconds) {
  if (!g_has_timer) {
    ::alarm(1);
    return;
  }
  itimerspec time = {};
  time.it_value.tv_nsec = milliseconds * 1'000'000;
  ::timer_settime(g_timer, 0, &time, nullptr);
}

extern "C" void on_signal(int number) {
  const int saved_errno = errno;
  g_signal.store(number);
  if (g_interrupted.exchange(true)) {
    abandon_temporary_file();
    abandon_status();
    std::signal(number, SIG_DFL);
    std::raise(number);  // once this handler returns
  }
  set_timer(kGraceMilliseconds);
  static_cast<void>(!::write(g_wake_up[1], "", 1));
  errno = saved_errno;
}

/// The time for an orderly end is over.
extern "C" void on_timer(int) {
  static std::atomic<int> waits{0};
  if (!g_interrupted.load()) return;
  if (!WriteInProgress::end_all() && waits++ < kMostWriteWaits) {
    set_timer(kWriteMilliseconds);
    return;
  }
  abandon_temporary_file();
  abandon_status();
  say_last_words();
  ::_exit(kInterrupted + g_signal.load());
}

/// Ends the program where it cannot go on; for signal handlers and std::terminate.
[[noreturn]] void give_up(std::string_view message) {
  static std::atomic<bool> told{false};
  if (!told.exchange(true)) {
    abandon_temporary_file();
    abandon_status();
    static_cast<void>(!::write(STDERR_FILENO, message.data(), message.size()));
  }
  ::_exit(kFailed);
}

constexpr std::string_view kLacking = "reviewrate: cannot go on: the machine lacks memory or threads\n";

extern "C" void on_abort(int) { give_up(kLacking); }

/// A library has called exit() when it lacked something.
/// Only libraries call exit(): see finish_process().
void on_exit() { give_up(kLacking); }

/// Libraries lack memory already while they are loaded, so before main(), and MKL ends the program there if there is no
/// current folder; what stands in .preinit_array runs before them.
void prepare_for_lack(int, char**, char**) {
  std::signal(SIGABRT, on_abort);
  std::set_terminate([] { give_up(kLacking); });
  std::array<char, PATH_MAX> folder;
  if (::getcwd(folder.data(), folder.size()) == nullptr && errno == ENOENT) {
    give_up("reviewrate: the current folder: does not exist any more: change to another one\n");
  }
}
__attribute__((section(".preinit_array"), used)) void (*const g_prepare_for_lack)(int, char**,
                                                                                  char**) = prepare_for_lack;

/// The quota of a cgroup v2 folder in CPUs; infinity where it sets none.
double cgroup_v2_quota(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  double quota = 0;
  double period = 0;
  // "max 100000" fails to parse as numbers, and so does a file that is not there.
  return file >> quota >> period && period > 0 ? quota / period : std::numeric_limits<double>::infinity();
}

/// The quota of a cgroup v1 folder in CPUs; infinity where it sets none.
double cgroup_v1_quota(const std::string& folder) {
  double quota = 0;
  double period = 0;
  std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
  std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  return quota > 0 && period > 0 ? quota / period : std::numeric_limits<double>::infinity();
}

/// The tightest quota on the way from this process's cgroup up to the root.
double cgroup_quota() {
  double quota = std::numeric_limits<double>::infinity();
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // ID:CONTROLLERS:PATH
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool v2 = controllers.empty();
    if (!v2 && ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
    std::string path = line.substr(second + 1);
    while (true) {
      const double found = v2 ? cgroup_v2_quota("/sys/fs/cgroup" + path) : cgroup_v1_quota("/sys/fs/cgroup/cpu" + path);
      quota = std::min(quota, found);
      if (path.empty() || path == "/") break;
      path.resize(path.rfind('/'));
    }
  }
  return quota;
}

}  // namespace

void prepare_process() {
  constexpr std::array<int, 3> kModes = {O_WRONLY, O_RDONLY, O_RDWR};  // stderr alone may be written to, unseen
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    // The lowest free number is what open() gives.
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", kModes[static_cast<std::size_t>(fd)]) < 0) {
      throw Error(ErrorKind::environment, std::string("/dev/null: cannot be opened: ") + std::strerror(errno));
    }
  }
  std::signal(SIGXFSZ, SIG_IGN);
  std::atexit(on_exit);
}

void finish_process(int status) {
  std::fflush(nullptr);
  ::_exit(status);
}

Interruption::Interruption() {
  if (g_wake_up[0] == -1 && ::pipe2(g_wake_up.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    throw Error(ErrorKind::environment, std::string("signals: cannot make a pipe: ") + std::strerror(errno));
  }
  sigevent event = {};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGALRM;
  g_has_timer = ::timer_create(CLOCK_MONOTONIC, &event, &g_timer) == 0;
  struct sigaction action = {};
  action.sa_flags = SA_RESTART;
  action.sa_handler = on_timer;
  ::sigaction(SIGALRM, &action, nullptr);
  sigset_t alarm_set;
  ::sigemptyset(&alarm_set);
  ::sigaddset(&alarm_set, SIGALRM);
  ::sigprocmask(SIG_UNBLOCK, &alarm_set, nullptr);
  action.sa_handler = on_signal;
  // What the shell told a background job to ignore stays ignored, and so does what nohup did.
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction old = {};
    if (::sigaction(number, nullptr, &old) == 0 && old.sa_handler == SIG_IGN) continue;
    ::sigaction(number, &action, nullptr);
  }
  // A parent may have had it ignored; a filter dies of it.
  std::signal(SIGPIPE, SIG_DFL);
}

const std::atomic<bool>& Interruption::flag() const { return g_interrupted; }

int Interruption::signal() const { return g_signal.load(); }

InputWaiter::InputWaiter(bool watch_stdout)
    : wake_up_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), watch_stdout_(watch_stdout) {
  if (wake_up_ >= 0) return;
  throw Error(ErrorKind::environment, std::string("a wake-up cannot be made: ") + std::strerror(errno));
}

InputWaiter::~InputWaiter() { ::close(wake_up_); }

void InputWaiter::wake() {
  const std::uint64_t one = 1;
  static_cast<void>(::write(wake_up_, &one, sizeof(one)) == sizeof(one));
}

Waiter::Event InputWaiter::wait(int fd, bool may_block) {
  std::array<pollfd, 4> fds = {
      {{fd, POLLIN, 0}, {g_wake_up[0], POLLIN, 0}, {watch_stdout_ ? STDOUT_FILENO : -1, 0, 0}, {wake_up_, POLLIN, 0}}};
  while (true) {
    const int count = ::poll(fds.data(), fds.size(), may_block ? -1 : 0);
    if (count < 0 && errno != EINTR) return Event::ready;  // read() itself will tell what is wrong
    if (g_interrupted.load()) return Event::interrupted;
    if (count < 0) continue;
    if ((fds[2].revents & (POLLERR | POLLHUP)) != 0) {
      std::raise(SIGPIPE);
      return Event::interrupted;
    }
    if (fds[3].revents != 0) return Event::interrupted;
    if (fds[0].revents != 0) return Event::ready;
    if (!may_block) return Event::idle;
  }
}

void bound_shape_caches(std::size_t workers) {
  // oneDNN, and ideep before it in each thread, keep what they made for the last 1,024 shapes, a quarter of a megabyte
  // each, and a traced model has a new one with every length: memory would grow for the first
  // gigabyte of reviews. A native model runs in blocks of few sizes, to which more would not help either
  // (measured).
  constexpr std::size_t kShapes = 32;
  ::setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", std::to_string(kShapes * workers).c_str(), /*overwrite=*/0);
  ::setenv("LRU_CACHE_CAPACITY", std::to_string(kShapes).c_str(), /*overwrite=*/0);
}

std::size_t available_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  // With more CPUs than the set holds the call fails; then the number of CPUs online is the best there is.
  const long cpus = ::sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : ::sysconf(_SC_NPROCESSORS_ONLN);
  const double limit = std::min(static_cast<double>(cpus), std::ceil(cgroup_quota()));
  return static_cast<std::size_t>(std::max(1.0, limit));
}

bool is_rich_terminal(int fd) {
  const char* terminal = std::getenv("TERM");
  return ::isatty(fd) != 0 && terminal != nullptr && *terminal != '\0' && std::string_view(terminal) != "dumb";
}

std::vector<std::string> command_words() {
  std::vector<std::string> words;
  std::ifstream line("/proc/self/cmdline", std::ios::binary);
  for (std::string word; std::getline(line, word, '\0');) words.push_back(word);
  return words;
}

std::size_t terminal_width(int fd) {
  winsize size = {};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace reviewrate::cli
