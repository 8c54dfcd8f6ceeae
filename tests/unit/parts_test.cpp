// Where sentences and words end; the sentences are our own.
#include "reviewrate/parts.h"

#include <string>
#include <vector>

#include "catch.h"

using namespace reviewrate;

namespace {

using Strings = std::vector<std::string>;

Strings cut_at(std::string_view text, const std::vector<std::size_t>& ends) {
  Strings parts;
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  CHECK(begin == (ends.empty() ? 0 : text.size()));
  return parts;
}

Strings sentences(std::string_view text) { return cut_at(text, sentence_ends(text)); }
Strings words(std::string_view text) { return cut_at(text, word_ends(text)); }

TEST_CASE("sentences end behind stops, with the quotes and brackets after them") {
  CHECK(sentences("Good film. Go and see it! Will you?") == Strings{"Good film.", " Go and see it!", " Will you?"});
  CHECK(sentences("He said \"No way!\" (Really.) And left.") ==
        Strings{"He said \"No way!\"", " (Really.)", " And left."});
  CHECK(sentences("so bad... we left. what a mess!!! never again") ==
        Strings{"so bad... we left.", " what a mess!!!", " never again"});
  CHECK(sentences("So bad... We left.") == Strings{"So bad...", " We left."});
  CHECK(sentences("i liked it. it was fun. so did i. really.") ==
        Strings{"i liked it.", " it was fun.", " so did i.", " really."});
  CHECK(sentences("\u6620\u753B\u304C\u597D\u304D\u3002\u6700\u9AD8\uFF01") ==
        Strings{"\u6620\u753B\u304C\u597D\u304D\u3002", "\u6700\u9AD8\uFF01"});
}

TEST_CASE("sentences end at tags of line breaks and at empty lines") {
  CHECK(sentences("One film<br /><br />Two films<BR>Three.") ==
        Strings{"One film<br /><br />", "Two films<BR>", "Three."});
  CHECK(sentences("A line\nthat goes on.\n\nAnother") == Strings{"A line\nthat goes on.", "\n\nAnother"});
  CHECK(sentences("Fine.<br/>Good <b>film</b>") == Strings{"Fine.<br/>", "Good <b>film</b>"});
}

TEST_CASE("sentences do not end inside words and numbers, and behind abbreviations and initials") {
  for (const std::string text :
       {"Mr. Fox and Dr. Owl met J. R. Crow at 7.30 p.m. in the U.S. embassy.", "It cost 3.5 million, e.g. Extras.",
        "Dogs vs. Cats, incl. Mice", "See www.film.example or film.txt now", "A film of the 80s.Great", "Oh...no"}) {
    CHECK(sentences(text) == Strings{text});
  }
  CHECK(sentences("Popcorn etc. The end.") == Strings{"Popcorn etc.", " The end."});
  CHECK(sentences("Popcorn etc. was sold.") == Strings{"Popcorn etc. was sold."});
}

TEST_CASE("what says nothing belongs to the sentence before it") {
  CHECK(sentences("Good. ... !!! Bad.") == Strings{"Good. ... !!!", " Bad."});
  CHECK(sentences("... Good.") == Strings{"... Good."});
  CHECK(sentences("<br />Good.") == Strings{"<br />Good."});
  CHECK(sentences("Good. \U0001F44D") == Strings{"Good.", " \U0001F44D"});
  CHECK(sentences("...") == Strings{"..."});
  CHECK(sentences("Good.  \n ") == Strings{"Good.  \n "});
  CHECK(sentences(" \n ").empty());
  CHECK(sentences("").empty());
}

TEST_CASE("words stand between white space of any kind") {
  CHECK(words(" don't  stop,\u00A0ever\n") == Strings{" don't", "  stop,", "\u00A0ever\n"});
  CHECK(words("One film<br /><br />ends <br />here") == Strings{"One", " film<br /><br />", "ends", " <br />", "here"});
  CHECK(words("   ").empty());
  CHECK(words("").empty());
}

}  // namespace
