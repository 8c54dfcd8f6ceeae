// What the program says if a signal ends it in the middle of its work.
#pragma once

#include <string>

namespace reviewrate::cli {

/// From now on that is `message`; empty: nothing. From one thread only.
void set_last_words(const std::string& message);

/// Says it on stderr; for signal handlers.
void say_last_words();

}  // namespace reviewrate::cli
