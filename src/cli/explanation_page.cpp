// Blue speaks for and orange against the positive label, which color-blind people can tell apart; so do the signs.
#include "explanation_page.h"

#include "reviewrate/explanation_html.h"
#include "reviewrate/printable.h"
#include "reviewrate/text.h"

namespace reviewrate::cli {
namespace {

/// The page grows no further once it has this many bytes: no browser scrolls well through more.
constexpr std::size_t kMostBytes = std::size_t{8} << 20;

constexpr std::string_view kStyle =
    ":root{color-scheme:light dark;--ink:#1c2126;--soft:#5a646e;--page:#fff;--line:#c9d0d6;--for:11,92,173;"
    "--against:163,71,0}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#a3adb7;--page:#14181c;--line:#3d4852;"
    "--for:134,189,247;--against:255,178,122}}"
    "body{font:1rem/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:50rem;margin:0 auto;"
    "padding:1rem;overflow-wrap:anywhere}"
    "h1{font-size:1.4rem}h2{font-size:1rem;margin:0}article{border-top:1px solid var(--line);margin-top:1.5rem;"
    "padding-top:1rem}p{margin:.4rem 0}.verdict{font-size:1.15rem;font-weight:700}"
    ".verdict.for,li.for b{color:rgb(var(--for))}"
    ".verdict.against,li.against b{color:rgb(var(--against))}"
    ".parts{list-style:none;padding:0;margin:.6rem 0}"
    "li{display:grid;grid-template-columns:4.5rem 1fr;gap:.6rem;margin:.2rem 0}"
    "li b{text-align:right;font-variant-numeric:tabular-nums}li>span{padding:0 .35rem;border-left:.2rem solid}"
    "li.for>span{border-color:rgb(var(--for))}li.against>span{border-color:rgb(var(--against))}"
    ".unseen{color:var(--soft)}.s0{--strength:0}.s1{--strength:.08}.s2{--strength:.16}.s3{--strength:.24}"
    ".s4{--strength:.34}li.for>span,.word.for{background:rgba(var(--for),var(--strength))}"
    "li.against>span,.word.against{background:rgba(var(--against),var(--strength))}"
    "li.words>span{background:none}.word{border-radius:.2rem;padding:0 .15rem}.word "
    "small{font-variant-numeric:tabular-nums}"
    ".sum,.note{color:var(--soft);font-size:.9rem}";

}  // namespace

void ExplanationPage::write(const Outcome& outcome) {
  ++all_;
  if (reviews_.size() < kMostBytes) add(outcome);
  next_.write(outcome);
}

void ExplanationPage::add(const Outcome& outcome) {
  ++shown_;
  const Review& review = outcome.review;
  reviews_ += "<article>\n<h2>" + escape_markup(printable(review.id.text)) + "</h2>\n";
  if (outcome.prediction) {
    const Prediction& p = *outcome.prediction;
    const bool good = p.label == manifest_.positive;
    reviews_ += std::string("<p class=\"verdict ") + (good ? "for\">+ " : "against\">− ") +
                escape_markup(printable(manifest_.labels[p.label])) + " " + fixed(100 * p.score, 1) + " %" +
                (p.rating ? ", rating " + std::to_string(*p.rating) + " of 10" : "") + "</p>\n";
    if (!p.unsure.empty()) reviews_ += "<p>Unsure: " + escape_markup(p.unsure) + ".</p>\n";
    reviews_ += explanation_html(p, review.text, manifest_.labels[*manifest_.positive]);
  } else {
    reviews_ += "<p>" + escape_markup(printable(review.failure->message)) + "</p>\n";
  }
  reviews_ += "</article>\n";
}

std::string ExplanationPage::html() const {
  const std::string title = "Why " + escape_markup(printable(manifest_.name)) + " says so";
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"generator\" "
         "content=\"reviewrate\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>" +
         title +
         "</title><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
         "'unsafe-inline'\"><style>" +
         std::string(kStyle) + "</style></head><body>\n<h1>" + title + "</h1>\n<p class=\"note\">" +
         (shown_ < all_ ? "The first " + std::to_string(shown_) + " of " : "") + counted(all_, "review") + ". " +
         "Each sentence with what it contributes: + speaks for " +
         escape_markup(printable(manifest_.labels[*manifest_.positive])) + ", − against it.</p>\n" + reviews_ +
         "</body></html>\n";
}

}  // namespace reviewrate::cli
