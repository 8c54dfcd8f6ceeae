// Each record format, cut at every place: what the reviews are must not depend on how the bytes arrive.
#include "reviewrate/record_reader.h"

#include "catch.h"
#include "read_pieces.h"

namespace reviewrate {

TEST_CASE("Lines: line ends, empty lines, the last line, the byte order mark") {
  const auto lines = [](const std::string& bytes) { return records(InputFormat::lines, bytes); };
  CHECK(lines("").empty());
  CHECK(lines("\n") == Shown{"f:1|"});
  CHECK(lines("a") == Shown{"f:1|a"});
  CHECK(lines("a\n") == Shown{"f:1|a"});
  CHECK(lines("a\r\n\r\nb\rc\r") == Shown{"f:1|a", "f:2|", "f:3|b\rc\r"});
  CHECK(lines("\xEF\xBB\xBFone\n\xEF\xBB\xBFtwo\n") == Shown{"f:1|one", "f:2|\xEF\xBB\xBFtwo"});
  CHECK(lines("\xEF\xBB\xBF").empty());
  CHECK(lines("\xEF\xBB\xBF\n") == Shown{"f:1|"});
  CHECK(lines("\xEF\xBB") == Shown{"f:1|\xEF\xBF\xBD|~2"});
  CHECK(lines("a\xFFz\nok\n") == Shown{"f:1|a\xEF\xBF\xBDz|~1", "f:2|ok"});
  CHECK(lines(std::string("a\0b\n", 4)) == Shown{std::string("f:1|a\0b", 7)});
}

TEST_CASE("Lines: one that is too large is a bad record and the next is read") {
  InputOptions options;
  options.max_review_bytes = 5;
  const Result result = read_all(InputFormat::lines,
                                 "12345\n123456\n\xEF\xBB\xBF"
                                 "12345\r\n12\n1234567890123",
                                 options);
  CHECK(result.shown == Shown{"f:1|12345", "f:2|!size", "f:3|!size", "f:4|12", "f:5|!size"});
  CHECK(result.messages[0] == "dir/f:2: the line is larger than 5 bytes (--max-review-bytes)");
  CHECK(records(InputFormat::lines,
                "\xEF\xBB\xBF"
                "12345\r\n",
                options) == Shown{"f:1|12345"});
}

TEST_CASE("Whole: the bytes as they are") {
  InputOptions options;
  options.max_review_bytes = 5;
  CHECK(records(InputFormat::whole, "", options) == Shown{"f|"});
  CHECK(records(InputFormat::whole, "a\r\nb\n", options) == Shown{"f|a\r\nb\n"});
  CHECK(records(InputFormat::whole, "123456", options) == Shown{"!!size"});
  CHECK(records(InputFormat::whole, "\xC3") == Shown{"f|\xEF\xBF\xBD|~1"});
}

TEST_CASE("JSON Lines: texts, ids and blank lines") {
  const auto json = [](const std::string& bytes) { return records(InputFormat::jsonl, bytes); };
  CHECK(json("{\"text\":\"a\"}\n \t\r\n\n{\"id\":\"x\",\"text\":\"b\\n\\u00e9\\ud83d\\ude00\"}") ==
        Shown{"f:1|a", "x|b\n\xC3\xA9\xF0\x9F\x98\x80"});
  CHECK(json("\xEF\xBB\xBF{\"text\":\"a\"}\r\n") == Shown{"f:1|a"});
  CHECK(json(R"({"id":7,"text":"a"})") == Shown{"#7|a"});
  CHECK(json(R"({"id":-0,"text":"a"})") == Shown{"#-0|a"});
  CHECK(json(R"({"id":-9223372036854775808,"text":"a"})") == Shown{"#-9223372036854775808|a"});
  CHECK(json(R"({"id":18446744073709551616123456789,"text":"a"})") == Shown{"#18446744073709551616123456789|a"});
  CHECK(json(R"({"id":1.50e+3,"text":"a"})") == Shown{"#1.50e+3|a"});
  CHECK(json(R"({"id":null,"text":"a"})") == Shown{"f:1|a"});
  CHECK(json(R"({"id":[1],"text":"a"})") == Shown{"f:1|a"});
  CHECK(json(R"({"text":"a","text":"b"})") == Shown{"f:1|b"});
  CHECK(json(R"({"text":"a\u0000b"})") == Shown{std::string("f:1|a\0b", 7)});
  CHECK(json(R"({"x":{"text":"no"},"y":[{"text":"no"}],"text":"yes"})") == Shown{"f:1|yes"});
}

TEST_CASE("JSON Lines: bad records") {
  const Result result = read_all(
      InputFormat::jsonl,
      "{\"text\":\"a\"\n[1]\n\"text\"\n12\n{\"id\":5}\n{\"text\":5}\n{\"id\":\"n\",\"text\":null}\n"
      "{\"text\":\"a\"} x\n{\"text\":\"a\tb\"}\n{\"text\":\"\\x\"}\nnull\n{\"text\":{}}\n{}\n{\"text\":\"z\"}\n");
  CHECK(result.shown == Shown{"f:1|!json", "f:2|!json", "f:3|!json", "f:4|!json", "#5|!field", "f:6|!type", "n|!type",
                              "f:8|!json", "f:9|!json", "f:10|!json", "f:11|!json", "f:12|!type", "f:13|!field",
                              "f:14|z"});
  CHECK(result.messages[0] == "dir/f:1: not valid JSON: it is not closed before line 2");
  CHECK(result.messages[1] == "dir/f:2: valid JSON, but not an object");
  CHECK(result.messages[4] == "dir/f:5: there is no field \"text\"; the fields are: \"id\"");
  CHECK(result.messages[5] == "dir/f:6: the field \"text\" is a number and not a string");
  for (const std::string& message : result.messages) {
    CHECK(message.size() < 250);
    CHECK(message.find('\n') == std::string::npos);
  }
  CHECK(records(InputFormat::jsonl, "{\"text\":\"a\",\"x\":1e999}\n") == Shown{"f:1|a"});
}

TEST_CASE("JSON Lines: what is not Unicode is repaired and counted") {
  CHECK(records(InputFormat::jsonl, "{\"text\":\"a\xFF\"}\n{\"text\":\"b\"}\n") ==
        Shown{"f:1|a\xEF\xBF\xBD|~1", "f:2|b"});
  CHECK(records(InputFormat::jsonl, R"({"text":"\ud800 \udc00 \ud83d\ude00 \\ud800 \ud83d\u0041 \uD83D"})") ==
        Shown{"f:1|\xEF\xBF\xBD \xEF\xBF\xBD \xF0\x9F\x98\x80 \\ud800 \xEF\xBF\xBD"
              "A \xEF\xBF\xBD|~4"});
  CHECK(records(InputFormat::jsonl, "{\"text\":\"\\ud8") == Shown{"f:1|!json"});
}

TEST_CASE("JSON Lines: nesting costs neither stack nor time") {
  const std::string deep(500000, '[');
  InputOptions options;
  CHECK(read_in_pieces(InputFormat::jsonl, "{\"x\":" + deep + "\n{\"text\":\"a\"}\n", options, 1 << 20).shown ==
        Shown{"f:1|!json", "f:2|a"});
  options.pass = {"*"};
  const std::string nested = deep + std::string(deep.size(), ']');
  CHECK((read_in_pieces(InputFormat::jsonl, "{\"x\":" + nested + ",\"text\":\"a\"}\n", options, 1 << 20).shown ==
         Shown{"f:1|a|x#" + nested}));
}

TEST_CASE("JSON Lines: sizes") {
  InputOptions options;
  options.max_review_bytes = 5;
  const std::string filler(70000, 'x');
  CHECK(records(InputFormat::jsonl,
                "{\"text\":\"123456\",\"id\":9}\n{\"text\":\"12345\"}\n{\"x\":\"" + filler +
                    "\",\"text\":\"a\"}\n{\"text\":\"b\"}\n",
                options) == Shown{"#9|!size", "f:2|12345", "f:3|!size", "f:4|b"});
}

TEST_CASE("JSON Lines: passed columns, in the asked order, as they were written") {
  InputOptions options;
  const std::string line = R"({"b":[1, {"k" : "v\n", "l":[]}, -0.0 ],"id":"i","a":"\u00e9","text":"t","c":true})";
  options.pass = {"a", "none", "b"};
  CHECK(records(InputFormat::jsonl, line, options) == Shown{"i|t|a=\xC3\xA9|b#[1,{\"k\":\"v\\n\",\"l\":[]},-0.0]"});
  options.pass = {"*"};
  CHECK(records(InputFormat::jsonl, line, options) ==
        Shown{"i|t|b#[1,{\"k\":\"v\\n\",\"l\":[]},-0.0]|a=\xC3\xA9|c#true"});
  options.pass = {"c", "*"};
  CHECK(records(InputFormat::jsonl, R"({"a":{},"b":[[]],"c":null,"text":"t"})", options) ==
        Shown{"f:1|t|c#null|a#{}|b#[[]]"});
}

TEST_CASE("Fields of other names, and --where") {
  InputOptions options;
  options.text_field = "body";
  options.id_field = "key";
  options.where = {"lang=en", "stars=5"};
  const std::string bytes =
      "{\"body\":\"a\",\"key\":1,\"lang\":\"en\",\"stars\":5}\n{\"body\":\"b\",\"lang\":\"en\",\"stars\":\"5\"}\n"
      "{\"body\":\"c\",\"lang\":\"de\",\"stars\":5}\n{\"body\":\"d\",\"lang\":\"en\"}\nbroken\n{\"lang\":\"en\","
      "\"stars\":5}\n";
  CHECK(records(InputFormat::jsonl, bytes, options) == Shown{"#1|a", "f:2|b", "f:5|!json", "f:6|!field"});
  CHECK(records(InputFormat::csv, "stars,lang,body,key\n5,en,a,1\n5,en,b,\n4,en,c,3\n5,de,d,4\n", options) ==
        Shown{"1|a", "f:3|b"});
  CHECK(records(InputFormat::lines, "a\nb\n", options).empty());
  CHECK(records(InputFormat::whole, "a\nb\n", options).empty());
}


TEST_CASE("failure_message stays on one line and in UTF-8") {
  CHECK(failure_message("a\nb\xFF", "c\td") == "a b\xEF\xBF\xBD: c d");
}

}  // namespace reviewrate
