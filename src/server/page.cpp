// Fills page.html's three places; everything that comes from a review is escaped.
#include "page.h"

#include <openssl/evp.h>

#include <array>
#include <string_view>

#include "assets.h"
#include "message.h"
#include "reviewrate/explanation_html.h"
#include "reviewrate/printable.h"
#include "reviewrate/sha256.h"
#include "reviewrate/text.h"

namespace reviewrate::server {
namespace {

/// The page with what stands in its places, in their order.
std::string filled(const std::string& text, const std::string& why, const std::string& result) {
  std::string_view page = kPage;
  std::string out;
  const auto put = [&](std::string_view mark, const std::string& content) {
    const std::size_t place = page.find(mark);
    out += page.substr(0, place);
    out += content;
    page.remove_prefix(place + mark.size());
  };
  put("{{text}}", text);
  put("{{why}}", why);
  put("{{result}}", result);
  return out += page;
}

/// The box to ask why.
std::string why_box(bool checked) {
  return std::string("<label class=\"why\"><input id=\"why\" type=\"checkbox\" name=\"explain\" value=\"words\"") +
         (checked ? " checked" : "") + "> Say why</label>";
}

/// 'sha256-...' of what stands between the tags of `name`, as a Content-Security-Policy allows it.
std::string source_hash(const std::string& name) {
  const std::string_view page = kPage;
  const std::size_t begin = page.find("<" + name + ">") + name.size() + 2;
  const std::string_view content = page.substr(begin, page.find("</" + name + ">") - begin);
  Sha256 sum;
  sum.add(content);
  const auto digest = sum.digest();
  std::array<unsigned char, 2 * digest.size()> base64{};
  const int length = EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(digest.size()));
  return "'sha256-" + std::string(base64.begin(), base64.begin() + length) + "'";
}

constexpr std::array<const char*, 10> kRatingWords = {"terrible", "very bad", "bad",       "rather bad", "mixed",
                                                      "fair",     "good",     "very good", "great",      "excellent"};

std::string stars(int rating) {
  std::string out;
  for (int i = 1; i <= 10; ++i) out += i <= rating ? "★" : "☆";
  return out;
}

/// What became of the tokens above the model's bound; empty where there are none.
std::string long_text_note(const Prediction& p, LongText long_text) {
  if (p.windows > 1) {
    return "The review is long: the model read all of its " + std::to_string(p.tokens) + " tokens in " +
           std::to_string(p.windows) + " parts.";
  }
  if (!p.truncated) return "";
  const std::string which = long_text == LongText::head ? "the beginning" : "the beginning and the end";
  return "The review is long: of its " + std::to_string(p.tokens) + " tokens the model read " + which + " only.";
}

}  // namespace

std::string page_without_result(bool explains) { return filled("", explains ? why_box(false) : "", ""); }

std::string page_with_result(const Outcome& outcome, const std::vector<std::string>& labels,
                             const std::string& positive, LongText long_text) {
  const Prediction& p = *outcome.prediction;
  const bool good = !p.positive || *p.positive == p.score;
  std::string result = std::string("<div class=\"answer ") + (good ? "good" : "bad") + "\">";
  result += "<p class=\"verdict\">" + std::string(p.positive ? good ? "+ " : "− " : "") +
            escape_markup(printable(labels[p.label])) + "</p>";
  if (p.rating) result += "<p class=\"stars\" aria-hidden=\"true\">" + stars(*p.rating) + "</p>";
  result += "<p class=\"words\">";
  if (p.rating) {
    result += "Rating: " + std::to_string(*p.rating) + " of 10, " +
              kRatingWords.at(static_cast<std::size_t>(*p.rating) - 1) + ". ";
  }
  result += "Probability: " + fixed(100 * p.score, 1) + " %.</p>";
  const std::string note = long_text_note(p, long_text);
  if (!note.empty()) result += "<p class=\"note\">" + note + "</p>";
  result += "</div>";
  if (p.explanation) {
    result += "<h2>Why</h2><p class=\"note\">Each sentence with what it contributes: + speaks for " +
              escape_markup(printable(positive)) + ", − against it.</p>" +
              explanation_html(p, outcome.review.text, positive);
  }
  // HTML drops a newline that comes first in a textarea.
  return filled("\n" + escape_markup(outcome.review.text), positive.empty() ? "" : why_box(p.explanation.has_value()),
                result);
}

std::vector<std::pair<std::string, std::string>> page_headers() {
  static const std::string policy =
      "default-src 'none'; script-src " + source_hash("script") + "; style-src " + source_hash("style") +
      "; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
  return {{"Content-Security-Policy", policy}, {"Referrer-Policy", "no-referrer"}};
}

}  // namespace reviewrate::server
