// What first lines are headers of tables.
#include "catch.h"
#include "sources.h"

namespace reviewrate {

TEST_CASE("A table is known by its first line") {
  const Scratch scratch;
  for (const char* header : {"id,text", "text,stars", "\"id\",\"text\"", "id;text", "id\ttext", "id|text",
                             " id , text ", "\xEF\xBB\xBFid,text"}) {
    INFO(header);
    const std::string line(header);
    const std::string delimiter(1, line.find_first_of(",;\t|") == line.npos ? ',' : line[line.find_first_of(",;\t|")]);
    const Shown shown = texts(piped(line + "\na" + delimiter + "b\n"));
    CHECK(shown == Shown{line == "text,stars" ? "a" : "b"});
    CHECK(texts(all({scratch.write("export.csv.1", line + "\na" + delimiter + "b\n")})) == shown);
  }
  CHECK(texts(piped("id,Review\n1,a\n")) == Shown{"a"});
  CHECK(texts(piped("sep=;\nid;text\n1;a, b\n")) == Shown{"a, b"});
  InputOptions options;
  options.text_field = "summary";
  CHECK(texts(piped("id,summary\n1,a\n", options)) == Shown{"a"});
  CHECK(texts(piped("text\na, b\n\"c\nd\"\n")) == Shown{"a, b", "c\nd"});
  CHECK(texts(piped("text\n")) == Shown{"text"});
  CHECK(texts(piped("Well made, and a good text\nb\n")) == Shown{"Well made, and a good text", "b"});
  scratch.write("d/part-0", "id,text\n1,a\n");
  CHECK(all({scratch("d")}) == Shown{"1|a"});
}

TEST_CASE("A table with several usual columns is a table, of which none is the text") {
  for (const std::string delimiter : {",", ";", "\t", "|"}) {
    INFO(delimiter);
    const std::string header = "id" + delimiter + "body" + delimiter + "comment\n";
    Shown messages;
    CHECK(piped(header + "1" + delimiter + "A lovely film." + delimiter + "seen twice\n", {}, &messages) ==
          Shown{"-|!field"});
    REQUIRE(messages.size() == 1);
    for (const char* words : {"body", "comment", "--text-field"}) CHECK(messages[0].find(words) != std::string::npos);
    CHECK(piped(header) == Shown{"-|!field"});  // of an export without rows, too
    InputOptions options;
    options.text_field = "body";
    CHECK(texts(piped(header + "1" + delimiter + "a" + delimiter + "b\n", options)) == Shown{"a"});
  }
  CHECK(texts(piped("Review,Comment\na,b\n")) == Shown{"!field"});
  CHECK(texts(piped("review,text\na,b\n")) == Shown{"b"});
}

TEST_CASE("A header's quoted cell may have line breaks") {
  for (const std::string delimiter : {",", "\t"}) {
    for (const std::string line_end : {"\n", "\r\n"}) {
      INFO(delimiter << line_end);
      const auto row = [&](const std::string& a, const std::string& b, const std::string& c) {
        return '"' + a + '"' + delimiter + '"' + b + '"' + delimiter + '"' + c + '"' + line_end;
      };
      const std::string rows = row("2024", "5", "nice\nfilm") + row("2025", "1", "dull");
      CHECK(texts(piped(row("Timestamp", "Rate" + line_end + "\"\"us\"\"", "comment") + rows)) ==
            Shown{"nice\nfilm", "dull"});
      CHECK(texts(piped(row("Rate\n\nus", "When", "comment") + rows)) == Shown{"nice\nfilm", "dull"});
      CHECK(texts(piped(row("Id", "comment", "Rate\nus") + row("1", "good", "5"))) == Shown{"good"});
    }
  }
  for (const Shown& lines : {Shown{"\"Great, text", "nice"}, Shown{"\"Great, he said", "and \"she\", comment"},
                             Shown{"5\" screen, comment?", "6\""}, Shown{"Big,\"it said", "text, all over"},
                             Shown{"\"Good", "film\"", "x"}, Shown{"\"a", "b\" c,text", "d,e"}}) {
    std::string bytes;
    for (const std::string& line : lines) bytes += line + "\n";
    INFO(bytes);
    CHECK(texts(piped(bytes)) == lines);
  }
}

TEST_CASE("A sentence that begins with a usual name is no header, and what a survey asks is one") {
  for (const char* sentence :
       {"Content, if a little bored.", "Body, heart and soul.", "Text, pictures and delivery: all fine",
        "Content,bored.", "Content, sadly", "Comment, really?", "Review,wow!", "content, but a bit slow",
        "Comment; but see below", "Body, I think that this is the best of all", "Great story, text, all of it",
        "Review\tI loved it.", "Content, text, all lovely", "Wow!,text"}) {
    INFO(sentence);
    CHECK(texts(piped(sentence)) == Shown{sentence});
    CHECK(texts(piped(std::string(sentence) + "\nNice, but long.\n")) == Shown{sentence, "Nice, but long."});
  }
  for (const char* header :
       {"Timestamp,Overall rating (1-5),Comment", "What did you like?,Would you come again?,Comment", "id, name, text",
        "Name, Star Rating, Comment", "stars, Review", "ID, stars, text", "Timestamp,Please rate your stay.,Review",
        "\"Date\",\"What, if anything, was bad?\",\"Review\"", "No.,Qty.,Text", "a|b|comment", "id | stars | text"}) {
    INFO(header);
    const std::string row = std::string(header).find('|') == std::string::npos ? "1,2,good\n" : "1|2|good\n";
    const bool two = std::string(header) == "stars, Review";
    CHECK(texts(piped(std::string(header) + "\n" + (two ? row.substr(2) : row))) == Shown{"good"});
    CHECK(piped(header).empty());
  }
  // What could be a header all the same is told, once.
  const Scratch scratch;
  Shown notices;
  InputOptions options;
  options.notify = [&](const std::string& notice) { notices.push_back(notice); };
  const std::string file = scratch.write("a", "id, text, star rating\n1, good, 5\n");
  CHECK(all({file, file}, options).size() == 4);
  REQUIRE(notices.size() == 1);
  CHECK(notices[0].starts_with(file + ": is read as plain lines: if the first of them names columns, --input-format"));
  CHECK(piped("A good text, and a long one\n", options).size() == 1);
  CHECK(notices.size() == 1);
  scratch.write("d/1", "Content, if a little bored.\n");
  CHECK(all({scratch("d")}, options) == Shown{"1|Content, if a little bored.\n"});
}

}  // namespace reviewrate
