// A signal handler reaches nothing but globals.
#include "last_words.h"

#include <unistd.h>

#include <array>
#include <atomic>

#include "reviewrate/printable.h"

namespace reviewrate::cli {
namespace {

std::array<std::string, 2> g_words;  // one is replaced while a signal handler may look at the other
std::atomic<const std::string*> g_last_words{nullptr};
static_assert(std::atomic<const std::string*>::is_always_lock_free);

}  // namespace

void set_last_words(const std::string& message) {
  std::string& words = g_words[g_last_words.load() == g_words.data() ? 1 : 0];
  words = message.empty() ? "" : "reviewrate: " + printable(message) + '\n';
  g_last_words = &words;
}

void say_last_words() {
  const std::string* words = g_last_words.load();
  if (words != nullptr) static_cast<void>(!::write(STDERR_FILENO, words->data(), words->size()));
}

}  // namespace reviewrate::cli
