// Numbers stand beside every color: a page has to be understood without colors.
#include "reviewrate/explanation_html.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "reviewrate/printable.h"
#include "reviewrate/text.h"

namespace reviewrate {
namespace {

/// As it is printed for people: "+1.20", "−0.35", "0.00".
std::string signed_number(double value) { return signed_fixed(value, 2, "−"); }

/// The classes of a contribution, of which the largest of its kind is `most`.
std::string classes(double contribution, double most) {
  constexpr double kLevels = 4;
  const double share = most > 0 ? std::abs(contribution) / most : 0;
  return std::string(contribution < 0 ? "against" : "for") + " s" + fixed(std::round(kLevels * share), 0);
}

double largest(const std::vector<ExplainedPart>& parts) {
  double most = 0;
  for (const ExplainedPart& part : parts) most = std::max(most, std::abs(part.contribution));
  return most;
}

std::string shown(std::string_view text) { return escape_markup(printable(text)); }

/// The text of a sentence, in it the words that matter with what they contribute.
std::string sentence_html(const ExplainedPart& sentence, std::string_view text) {
  constexpr double kLeastShare = 0.125;  // below it a word is in the lowest of the four levels, and its number noise
  const double most = largest(sentence.words);
  std::string out;
  std::size_t at = sentence.begin_byte;
  for (const ExplainedPart& word : sentence.words) {
    if (std::abs(word.contribution) < kLeastShare * most || most == 0) continue;
    out += shown(text.substr(at, word.begin_byte - at)) + "<span class=\"word " + classes(word.contribution, most) +
           "\">" + shown(text.substr(word.begin_byte, word.end_byte - word.begin_byte)) + " <small dir=\"ltr\">" +
           signed_number(word.contribution) + "</small></span>";
    at = word.end_byte;
  }
  return out + shown(text.substr(at, sentence.end_byte - at));
}

}  // namespace

std::string explanation_html(const Prediction& prediction, const std::string& text, const std::string& positive) {
  const Explanation& explanation = *prediction.explanation;
  const double most = largest(explanation.parts);
  std::string list;
  double sum = explanation.base + explanation.remainder;
  bool has_words = false;
  for (const ExplainedPart& part : explanation.parts) {
    has_words = has_words || !part.words.empty();
    sum += part.contribution;
    list += "<li class=\"" + (part.seen ? classes(part.contribution, most) : "unseen") +
            (part.words.empty() ? "" : " words") + "\"><b>" +
            (part.seen ? signed_number(part.contribution) : "not read") + "</b><span dir=\"auto\">" +
            sentence_html(part, text) + "</span></li>\n";
  }
  return (list.empty() ? "" : "<ol class=\"parts\">\n" + list + "</ol>\n") + "<p class=\"sum\">An empty review has " +
         signed_number(explanation.base) + ", all of this together " + signed_number(sum) + ": the log odds of " +
         shown(positive) + ". +0.69 doubles the odds, −0.69 halves them." +
         (has_words ? " Words that contribute little beside others of their sentence have no number." : "") + "</p>\n";
}

}  // namespace reviewrate
