// Widths are counted in code points.
#include "text_formatter.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reviewrate/printable.h"
#include "reviewrate/text.h"
#include "reviewrate/utf8.h"

namespace reviewrate {
namespace {

constexpr const char* kEllipsis = "\xE2\x80\xA6";

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

/// The bytes that the first `width` code points take.
std::size_t bytes_of(std::string_view text, std::size_t width) {
  std::size_t at = 0;
  for (; width > 0 && at < text.size(); --width) {
    ++at;
    while (at < text.size() && continues(text[at])) ++at;
  }
  return at;
}

/// `text` in at most `width` code points; what does not fit gives way to an ellipsis at the end.
std::string cut_end(const std::string& text, std::size_t width) {
  if (width_of(text) <= width) return text;
  return text.substr(0, bytes_of(text, width - 1)) + kEllipsis;
}

/// The same, with the ellipsis in the middle: both ends of a path tell something.
std::string cut_middle(const std::string& text, std::size_t width) {
  const std::size_t length = width_of(text);
  if (length <= width) return text;
  const std::size_t head = (width - 1) / 2;
  const std::size_t tail = width - 1 - head;
  return text.substr(0, bytes_of(text, head)) + kEllipsis + text.substr(bytes_of(text, length - tail));
}

class TextFormatter : public Formatter {
 public:
  explicit TextFormatter(const OutputOptions& options)
      : options_(options), width_(options.text_width == 0 ? kNoLimit : options.text_width) {
    for (std::string& label : options_.labels) {
      label = printable(label);
      label_width_ = std::max(label_width_, width_of(label));
    }
    if (options.text_width > 0) id_width_ = std::clamp(options.text_width / 5, kLeastIdWidth, kMostIdWidth);
  }

  void append(const Outcome& outcome, std::string& out) const override {
    const Review& review = outcome.review;
    if (!outcome.prediction) {
      // The message names the record already.
      out += colored("ERROR", kRed) + " " + printable(review.failure->kind + ": " + review.failure->message) + '\n';
      return;
    }
    std::string line = "  " + id_cell(review.id.text) + passed_cells(review);
    const std::string before = result_cells(*outcome.prediction, options_.color);
    const std::size_t used = width_of(result_cells(*outcome.prediction, false)) + width_of(line) + 2;
    if (is_blank(review.text)) {
      line += "  (empty)";
    } else if (!options_.wrap && used + kLeastTextWidth <= width_) {
      line += "  " + cut_end(printable(beginning(review.text)), width_ - used);
    }
    line.resize(line.find_last_not_of(' ') + 1);
    out += before + line + '\n';
    if (outcome.prediction->explanation) return append_explanation(*outcome.prediction->explanation, review.text, out);
    if (!options_.wrap) return;
    const std::size_t width = width_ == kNoLimit ? OutputOptions().text_width : width_;
    for (const std::string& words : wrapped(printable(review.text), std::max(width, 2 * kIndent) - kIndent)) {
      out += std::string(kIndent, ' ') + words + '\n';
    }
  }

 private:
  static constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max() / 64;
  static constexpr std::size_t kLeastIdWidth = 12;
  static constexpr std::size_t kMostIdWidth = 32;
  static constexpr std::size_t kValueWidth = 24;
  static constexpr std::size_t kLeastTextWidth = 10;
  static constexpr std::size_t kIndent = 7;  // the width of the rating and the blanks behind it

  static constexpr std::size_t kCellWidth = 6;                         // of a contribution
  static constexpr std::size_t kExplained = kIndent + kCellWidth + 2;  // where an explained sentence begins
  static constexpr std::size_t kMostWords = 5;                         // of a sentence that are shown

  // As a terminal's SGR sequences (ECMA-48) have them.
  static constexpr std::string_view kRed = "31";
  static constexpr std::string_view kGreen = "32";
  static constexpr std::string_view kYellow = "33";

  /// `text`, which has no such sequences itself, in a color if there are any.
  std::string colored(const std::string& text, std::string_view color, bool colors) const {
    return colors ? std::string("\x1b[").append(color) + 'm' + text + "\x1b[0m" : text;
  }
  std::string colored(const std::string& text, std::string_view color) const {
    return colored(text, color, options_.color);
  }

  std::string colored_number(double contribution) const {
    return colored(signed_fixed(contribution, 2), contribution < 0 ? kRed : kGreen);
  }

  /// The sentences below one another, each with its contribution, and below it the words that weigh most in it.
  void append_explanation(const Explanation& explanation, const std::string& text, std::string& out) const {
    const std::size_t width = width_ == kNoLimit ? OutputOptions().text_width : width_;
    const auto text_of = [&](const ExplainedPart& part) {
      return printable(std::string_view(text).substr(part.begin_byte, part.end_byte - part.begin_byte));
    };
    for (const ExplainedPart& part : explanation.parts) {
      const std::string number = part.seen ? signed_fixed(part.contribution, 2) : "unseen";
      std::string before(kIndent + kCellWidth - std::min(number.size(), kCellWidth), ' ');
      before += (part.seen ? colored_number(part.contribution) : number) + "  ";
      for (const std::string& line : wrapped(text_of(part), std::max(width, 3 * kExplained) - kExplained)) {
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
    for (const ExplainedPart* word : words) {
      out += (word == words.front() ? std::string(kExplained, ' ') + "> " : ", ") + text_of(*word) + ' ' +
             colored_number(word->contribution);
    }
    if (!words.empty()) out += '\n';
  }

  std::string result_cells(const Prediction& p, bool colors) const {
    std::string out;
    if (p.rating) {
      const std::string rating = (*p.rating < 10 ? " " : "") + std::to_string(*p.rating) + "/10";
      out += colored(rating, *p.rating > 6 ? kGreen : *p.rating < 5 ? kRed : kYellow, colors) + "  ";
    }
    const std::string& label = options_.labels[p.label];
    out += options_.positive ? colored(label, p.label == options_.positive ? kGreen : kRed, colors) : label;
    return out + std::string(label_width_ - width_of(label), ' ') + "  " + fixed(p.score, 4) +
           (options_.unsure ? "  " + (p.unsure.empty() ? " " : colored("?", kYellow, colors)) : "");
  }

  std::string id_cell(const std::string& id) const {
    std::string cell = printable(id);
    if (id_width_ == 0) return cell;
    cell = cut_middle(cell, id_width_);
    return cell + std::string(id_width_ - width_of(cell), ' ');
  }

  std::string passed_cells(const Review& review) const {
    std::string out;
    for (const Field& field : review.passed) {
      const std::string value = printable(field.value.text);
      out += "  " + printable(field.name) + '=' + (width_ == kNoLimit ? value : cut_end(value, kValueWidth));
    }
    return out;
  }

  /// As much of a review as can be seen, though much of it be invisible.
  std::string_view beginning(std::string_view text) const {
    if (width_ == kNoLimit) return text;
    std::size_t end = 4 * kMaxCodePointBytes * width_;
    if (end >= text.size()) return text;
    while (end > 0 && continues(text[end])) --end;
    return text.substr(0, end);
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
