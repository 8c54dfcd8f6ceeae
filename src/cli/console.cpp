// The one place that writes to stderr.
#include "console.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <mutex>
#include <string_view>

#include "process.h"
#include "reviewrate/printable.h"
#include "reviewrate/terminal_text.h"

namespace reviewrate::cli {
namespace {

constexpr std::string_view kClearLine = "\r\x1b[K";
constexpr std::string_view kPrefix = "reviewrate: ";

std::mutex g_mutex;                       // of stderr: the reader tells what it finds while the writer shows the status
std::atomic<bool> g_status_shown{false};  // a signal handler looks at it

/// Writes what it can: there is nobody to tell that stderr is gone.
void write_stderr(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

/// Writes lines in the status's place.
void write_message(const std::string& lines) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  if (g_status_shown.exchange(false)) write_stderr(kClearLine);
  write_stderr(lines);
}

}  // namespace

void print_notice(const std::string& message) { write_message(std::string(kPrefix) + printable(message) + '\n'); }

void print_figures(const std::string& message) {
  const std::string line = std::string(kPrefix) + printable(message) + '\n';
  write_message(::isatty(STDERR_FILENO) != 0 ? fitted(line, terminal_width(STDERR_FILENO)) : line);
}

bool print_log_line(const std::string& line) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  // A pipe is ready as long as PIPE_BUF bytes go into it, which no line of a log has.
  pollfd stderr_state = {STDERR_FILENO, POLLOUT, 0};
  if (line.size() >= PIPE_BUF || ::poll(&stderr_state, 1, 0) != 1 || (stderr_state.revents & POLLOUT) == 0)
    return false;
  write_stderr(line + '\n');
  return true;
}

void print_findings(const InputFindings& findings) {
  for (const std::string& problem : findings.problems) print_notice(problem);
  for (const std::string& remark : findings.remarks) print_notice(remark);
}

void print_lines(OutputStream& stream, const std::string& lines) {
  const std::string clean = printable_lines(lines);
  stream.write(::isatty(STDOUT_FILENO) != 0 ? fitted(clean, terminal_width(STDOUT_FILENO)) : clean);
}

void show_status(const std::string& text) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  g_status_shown = true;
  write_stderr("\r" + printable(text) + "\x1b[K");
}

void clear_status() {
  const std::lock_guard<std::mutex> lock(g_mutex);
  if (g_status_shown.exchange(false)) write_stderr(kClearLine);
}

void abandon_status() {
  if (g_status_shown.exchange(false)) write_stderr(kClearLine);
}

}  // namespace reviewrate::cli
