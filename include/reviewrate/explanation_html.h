// An explanation as HTML, for pages that bring the style.
#pragma once

#include <string>

#include "reviewrate/record.h"

namespace reviewrate {

/// The prediction's explanation (there is one) of the review `text`: an <ol class="parts"> with a line for each part,
/// and a <p class="sum"> that adds them up. Everything in them is escaped. A part that speaks for the label `positive`
/// has the class "for", one that speaks against it "against", and one of the classes "s0" to "s4" by its share of the
/// largest contribution; signs and numbers say the same in words. Where a sentence was looked into, it has the class
/// "words", too, and the words that matter in it are marked likewise, as <span class="word for s4">.
std::string explanation_html(const Prediction& prediction, const std::string& text, const std::string& positive);

}  // namespace reviewrate
