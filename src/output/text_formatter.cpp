// What does not fit beside the rest of a record goes on below it, indented.
#include "text_formatter.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reviewrate/printable.h"
#include "reviewrate/terminal_text.h"
#include "reviewrate/text.h"
#include "reviewrate/utf8.h"

namespace reviewrate {
namespace {

constexpr const char* kEllipsis = "\xE2\x80\xA6";

/// `text` in at most `width` columns; what does not fit gives way to an ellipsis at the end.
std::string cut_end(const std::string& text, std::size_t width) {
  if (width_of(text) <= width) return text;
  return text.substr(0, bytes_within(text, width - 1)) + kEllipsis;
}

/// The same, with the ellipsis in the middle: both ends of a path tell something.
std::string cut_middle(const std::string& text, std::size_t width) {
  if (width_of(text) <= width) return text;
  const std::size_t head = (width - 1) / 2;
  std::string_view tail = text;
  while (width_of(tail) > width - 1 - head) tail.remove_prefix(decode_code_point(tail).length);
  return text.substr(0, bytes_within(text, head)).append(kEllipsis).append(tail);
}

/// Puts cells side by side, with two blanks between them, on as many lines as they need.
class Cells {
 public:
  /// Each line takes at most `width` columns; those behind the first begin with `indent` blanks.
  Cells(std::string& out, std::size_t width, std::size_t indent) : out_(out), width_(width), indent_(indent) {}

  /// Adds a cell that is shown in `columns` columns and has `padding` blanks behind it before another one.
  void add(const std::string& cell, std::size_t columns, std::size_t padding = 0) {
    if (begun_ && columns > room()) break_line();
    if (begun_) gap_ += kBetween;
    out_.append(gap_, ' ').append(cell);
    used_ += gap_ + columns;
    gap_ = padding;
    begun_ = true;
  }

  /// Columns that a further cell has on this line.
  std::size_t room() const {
    const std::size_t taken = used_ + gap_ + (begun_ ? kBetween : 0);
    return width_ - std::min(width_, taken);
  }

  /// What comes next stands on a new line.
  void break_line() {
    out_ += '\n';
    out_.append(indent_, ' ');
    used_ = indent_;
    gap_ = 0;
    begun_ = false;
  }

 private:
  static constexpr std::size_t kBetween = 2;

  std::string& out_;
  std::size_t width_;
  std::size_t indent_;
  std::size_t used_ = 0;  // of this line
  std::size_t gap_ = 0;   // blanks that are owed
  bool begun_ = false;    // there is a cell on this line
};

class TextFormatter : public Formatter {
 public:
  explicit TextFormatter(const OutputOptions& options)
      : options_(options), width_(options.text_width == 0 ? kNoLimit : options.text_width) {
    for (std::string& label : options_.labels) {
      label = printable(label);
      label_width_ = std::max(label_width_, width_of(label));
    }
    if (options.text_width == 0) return;
    width_ = std::max(width_, 2 * kIndent);
    id_width_ = std::min(std::clamp(options.text_width / 5, kLeastIdWidth, kMostIdWidth), width_ - kIndent);
  }

  void append(const Outcome& outcome, std::string& out) override {
    const Review& review = outcome.review;
    if (!outcome.prediction) {
      // The message names the record already.
      constexpr std::string_view kError = "ERROR";
      const std::string message = printable(review.failure->kind + ": " + review.failure->message);
      const std::string lines = fitted(std::string(kError) + " " + message, width_);
      out += colored(std::string(kError), kRed) + lines.substr(kError.size()) + '\n';
      return;
    }
    Cells cells(out, width_, kIndent);
    add_result(*outcome.prediction, cells);
    add_id(review.id.text, cells);
    add_passed(review, cells);
    const std::string& doubt = outcome.prediction->unsure;
    if (!doubt.empty()) cells.add(colored("unsure: " + doubt, kYellow), width_of("unsure: " + doubt));
    if (is_blank(review.text)) {
      cells.add("(empty)", width_of("(empty)"));
    } else if (!options_.wrap) {
      std::string text = printable(beginning(review.text));
      text.resize(text.find_last_not_of(' ') + 1);
      if (cells.room() < kLeastTextWidth && width_of(text) > cells.room()) cells.break_line();
      const std::string shown = cut_end(text, std::max(cells.room(), std::size_t{2}));
      cells.add(shown, width_of(shown));
    }
    out += '\n';
    if (outcome.prediction->explanation) return append_explanation(*outcome.prediction->explanation, review.text, out);
    if (!options_.wrap) return;
    for (const std::string& words : wrapped(printable(review.text), width_below(kIndent))) {
      out += std::string(kIndent, ' ') + words + '\n';
    }
  }

 private:
  static constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max() / 64;
  static constexpr std::size_t kLeastIdWidth = 12;
  static constexpr std::size_t kMostIdWidth = 32;
  static constexpr std::size_t kValueWidth = 24;
  static constexpr std::size_t kLeastTextWidth = 10;  // beside the rest; with less room it stands below
  static constexpr std::size_t kIndent = 7;           // the width of the rating and the blanks behind it

  static constexpr std::size_t kCellWidth = 6;                         // of a contribution
  static constexpr std::size_t kExplained = kIndent + kCellWidth + 2;  // where an explained sentence begins
  static constexpr std::size_t kWide = 45;                             // columns, from which words stand as far right
  static constexpr std::size_t kMostWords = 5;                         // of a sentence that are shown
  static constexpr std::size_t kNumberWidth = 8;                       // " +12.34,"
  static constexpr std::string_view kMark = "> ";                      // before them

  // As a terminal's SGR sequences (ECMA-48) have them.
  static constexpr std::string_view kRed = "31";
  static constexpr std::string_view kGreen = "32";
  static constexpr std::string_view kYellow = "33";

  /// `text`, which has no such sequences itself, in a color if there are any.
  std::string colored(const std::string& text, std::string_view color) const {
    return options_.color ? std::string("\x1b[").append(color) + 'm' + text + "\x1b[0m" : text;
  }

  /// The columns of a line that begins with `indent` blanks, be there a terminal or not.
  std::size_t width_below(std::size_t indent) const {
    const std::size_t width = width_ == kNoLimit ? OutputOptions().text_width : width_;
    return std::max(width, indent + kLeastTextWidth) - indent;
  }

  std::string colored_number(double contribution) const {
    return colored(signed_fixed(contribution, 2), contribution < 0 ? kRed : kGreen);
  }

  /// The sentences below one another, each with its contribution, and below it the words that weigh most in it.
  void append_explanation(const Explanation& explanation, const std::string& text, std::string& out) const {
    const auto text_of = [&](const ExplainedPart& part) {
      return printable(std::string_view(text).substr(part.begin_byte, part.end_byte - part.begin_byte));
    };
    for (const ExplainedPart& part : explanation.parts) {
      const std::string number = part.seen ? signed_fixed(part.contribution, 2) : "unseen";
      std::string before(kIndent + kCellWidth - std::min(number.size(), kCellWidth), ' ');
      before += (part.seen ? colored_number(part.contribution) : number) + "  ";
      for (const std::string& line : wrapped(text_of(part), width_below(kExplained))) {
        out += std::exchange(before, std::string(kExplained, ' ')) + line + '\n';
      }
      append_words(part, text_of, out);
    }
  }

  template <typename TextOf>
  void append_words(const ExplainedPart& part, const TextOf& text_of, std::string& out) const {
    std::vector<const ExplainedPart*> words;
    for (const ExplainedPart& word : part.words) words.push_back(&word);
    const auto size = [](const ExplainedPart* word) { return std::abs(word->contribution); };
    std::stable_sort(words.begin(), words.end(), [&](auto* a, auto* b) { return size(a) > size(b); });
    if (words.size() > kMostWords) words.resize(kMostWords);
    const double least = words.empty() ? 0 : size(words.front()) / 10;
    std::erase_if(words, [&](const ExplainedPart* word) { return size(word) < least; });
    const std::size_t indent = width_ < kWide ? kIndent : kExplained;
    std::size_t room = 0;
    for (const ExplainedPart* word : words) {
      const std::string comma = word == words.back() ? "" : ",";
      const std::string shown = cut_end(text_of(*word), width_below(indent + kMark.size() + kNumberWidth));
      const std::size_t columns = width_of(shown) + kNumberWidth;
      if (word == words.front() || columns > room) {
        out += (word == words.front() ? "" : "\n") + std::string(indent, ' ');
        out += word == words.front() ? kMark : std::string_view("  ");
        room = width_ == kNoLimit ? kNoLimit : width_below(indent + kMark.size());
      } else {
        out += ' ';
      }
      out += shown + ' ' + colored_number(word->contribution) + comma;
      room -= std::min(room, columns);
    }
    if (!words.empty()) out += '\n';
  }

  void add_result(const Prediction& p, Cells& cells) const {
    if (p.rating) {
      const std::string rating = (*p.rating < 10 ? " " : "") + std::to_string(*p.rating) + "/10";
      cells.add(colored(rating, *p.rating > 6 ? kGreen : *p.rating < 5 ? kRed : kYellow), rating.size());
    }
    const std::string label = cut_end(options_.labels[p.label], width_ - kIndent);
    const std::size_t columns = width_of(label);
    cells.add(options_.positive ? colored(label, p.label == options_.positive ? kGreen : kRed) : label, columns,
              label_width_ - std::min(label_width_, columns));
    const std::string score = fixed(p.score, 4);
    cells.add(score, score.size());
  }

  void add_id(const std::string& id, Cells& cells) const {
    const std::string cell = id_width_ == 0 ? printable(id) : cut_middle(printable(id), id_width_);
    const std::size_t columns = width_of(cell);
    cells.add(cell, columns, id_width_ - std::min(id_width_, columns));
  }

  void add_passed(const Review& review, Cells& cells) const {
    for (const Field& field : review.passed) {
      const std::string name = printable(field.name) + '=';
      const std::string value = printable(field.value.text);
      std::string cell = name + (width_ == kNoLimit ? value : cut_end(value, kValueWidth));
      cell = cut_end(cell, width_ - kIndent);
      cells.add(cell, width_of(cell));
    }
  }

  /// As much of a review as can be seen, though much of it be invisible.
  std::string_view beginning(std::string_view text) const {
    return width_ == kNoLimit ? text : beginning_of(text, 4 * kMaxCodePointBytes * width_);
  }

  OutputOptions options_;
  std::size_t width_;
  std::size_t label_width_ = 0;
  std::size_t id_width_ = 0;  // 0: as wide as it is
};

}  // namespace

std::unique_ptr<Formatter> make_text_formatter(const OutputOptions& options) {
  return std::make_unique<TextFormatter>(options);
}

}  // namespace reviewrate
