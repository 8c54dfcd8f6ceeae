// Text for people: messages on stderr, the status line above which they appear, and tables on stdout. What is written
// here is cleaned of everything that a terminal would obey (reviewrate/printable.h), wherever it comes from.
#pragma once

#include <string>

#include "reviewrate/input.h"
#include "reviewrate/output_stream.h"

namespace reviewrate::cli {

/// Writes "reviewrate: MESSAGE" as one line to stderr, whatever the message holds.
void print_notice(const std::string& message);

/// The same for a line of figures: on a terminal it is broken at blanks. Other messages are not, as what is to be typed
/// may be copied from them.
void print_figures(const std::string& message);

/// Writes what is to be told of the inputs after they were read.
void print_findings(const InputFindings& findings);

/// Writes lines such as a table's to `stream`, which is stdout; on a terminal none is wider than that. Throws
/// Error(output).
void print_lines(OutputStream& stream, const std::string& lines);

/// Writes `line` to stderr as it is, with a newline. Never waits: false, and nothing is written, where whoever reads
/// stderr has fallen behind.
bool print_log_line(const std::string& line);

/// Shows `text` as stderr's last line, in place of what stood there, until anything else is written.
void show_status(const std::string& text);

/// Takes the status off the screen.
void clear_status();

/// The same from a signal handler that is about to end the program.
void abandon_status();

}  // namespace reviewrate::cli
