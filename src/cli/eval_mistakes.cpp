// Mistakes as jsonl and as text for people.
#include "eval_mistakes.h"

#include <algorithm>

#include "options.h"
#include "reviewrate/error.h"
#include "reviewrate/formatter.h"
#include "reviewrate/printable.h"
#include "reviewrate/text.h"

namespace reviewrate::cli {
namespace {

constexpr std::size_t kShown = 5;
constexpr std::size_t kShownLines = 3;  // of each text
constexpr std::size_t kIndent = 4;

}  // namespace

void check_mistakes_file(const std::string& path) {
  const OutputName name = output_name(path);
  if (name.compression == Compression::none && name.format.value_or(OutputFormat::jsonl) == OutputFormat::jsonl) return;
  throw Error(ErrorKind::usage, "--mistakes " + path + ": is written as plain jsonl: name it so");
}

std::string mistakes_jsonl(const std::vector<Mistake>& mistakes, const std::array<std::string, 2>& labels) {
  std::string out;
  for (const Mistake& m : mistakes) {
    out += "{\"id\": " + (m.id.json ? m.id.text : json_string(m.id.text)) +
           ", \"label\": " + json_string(labels[m.positive ? 1 : 0]) +
           ", \"predicted\": " + json_string(labels[m.positive ? 0 : 1]) + ", \"p_positive\": " + shortest(m.p) +
           ", \"stars\": " + (m.stars ? shortest(*m.stars) : "null") + ", \"tokens\": " + std::to_string(m.tokens) +
           ", \"text\": " + json_string(m.text) + "}\n";
  }
  return out;
}

std::string mistakes_text(const EvalReport& r, std::size_t width) {
  if (r.mistakes.empty()) return "";
  const auto all = static_cast<std::size_t>(std::count(r.outcomes.begin(), r.outcomes.end(), '0'));
  std::string out = "\nThe surest of " + std::to_string(all) + " mistakes (all: --mistakes FILE)\n";
  for (std::size_t i = 0; i < std::min(kShown, r.mistakes.size()); ++i) {
    const Mistake& m = r.mistakes[i];
    out += printable(m.id.text) + "  label " + printable(r.labels[m.positive ? 1 : 0]) +
           (m.stars ? ", stars " + shortest(*m.stars) : "") + "; model " + printable(r.labels[m.positive ? 0 : 1]) +
           ' ' + fixed(m.positive ? 1 - m.p : m.p, 4) + '\n';
    std::vector<std::string> lines = wrapped(printable(m.text), std::max(width, 3 * kIndent) - kIndent);
    if (lines.size() > kShownLines) {
      lines.resize(kShownLines);
      lines.back() += "\xE2\x80\xA6";
    }
    for (const std::string& line : lines) out += std::string(kIndent, ' ') + line + '\n';
  }
  return out;
}

}  // namespace reviewrate::cli
