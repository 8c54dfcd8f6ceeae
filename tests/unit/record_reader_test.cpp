// Each record format, cut at every place: what the reviews are must not depend on how the bytes arrive.
#include "reviewrate/record_reader.h"

#include "catch.h"
#include "read_pieces.h"
#include "reviewrate/error.h"

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
  CHECK(records(InputFormat::whole,
                "\xEF\xBB\xBF"
                "a",
                options) == Shown{"f|a"});
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
  CHECK(json(R"({"id":"","text":"a"})") == Shown{"f:1|a"});
  CHECK(json(R"({"id":[1],"text":"a"})") == Shown{"f:1|a"});
  CHECK(json(R"({"text":"a","text":"b"})") == Shown{"f:1|!field"});
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
  CHECK(result.messages[1] == R"(dir/f:2: valid JSON, but not an object such as {"text": "..."})");
  CHECK(result.messages[4] == "dir/f:5: there is no field \"text\"; the fields are: \"id\" (--text-field names one)");
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

TEST_CASE("JSON: arrays, values over several lines and one behind the other are the same records") {
  const auto json = [](const std::string& bytes) { return records(InputFormat::jsonl, bytes); };
  CHECK(json("[\n  {\n    \"id\": \"a\",\n    \"text\": \"one\"\n  },\n  {\n    \"text\": \"two\",\n    \"x\": {\n"
             "      \"y\": [\n        {\n          \"z\": 1\n        }\n      ]\n    }\n  }\n]\n") ==
        Shown{"a|one", "f:6|two"});
  CHECK(json("{\n  \"text\": \"one\"\n}\n{\n  \"text\": \"two\"\n}\n") == Shown{"f:1|one", "f:4|two"});
  CHECK(json("[{\"text\":\"one\"}, {\"text\":\"two\"},\n{\"text\":\"three\"}]") ==
        Shown{"f:1|one", "f:1#2|two", "f:2|three"});
  CHECK(json("{\"text\":\"one\"}{\"text\":\"two\"} {\"text\":\"three\"}") ==
        Shown{"f:1|one", "f:1#2|two", "f:1#3|three"});
  CHECK(json("[]\n").empty());
  CHECK(json(" [ ] ").empty());
  CHECK(json("{\"text\":\"one\"},\n{\"text\":\"two\"},\n") == Shown{"f:1|one", "f:2|two"});
  CHECK(json("[{\"text\":\"one\"}]\n[{\"text\":\"two\"}]\n") == Shown{"f:1|one", "f:2|two"});
  // As written without any indentation, and with the brackets of Allman's style.
  CHECK(json("[\n{\n\"text\": \"one\",\n\"x\": [\n{\n\"y\": 1\n}\n]\n},\n{\n\"text\": \"two\"\n}\n]\n") ==
        Shown{"f:2|one", "f:10|two"});
  CHECK(json("{\n  \"x\":\n  {\n    \"y\": 1\n  },\n  \"text\": \"one\"\n}\n") == Shown{"f:1|one"});
  CHECK(json("{ \"text\": \"one\",\n  \"x\": 1 }\n{ \"text\": \"two\",\n  \"x\": 2 }\n") ==
        Shown{"f:1|one", "f:3|two"});
  // Byte order marks of files that were joined, and the separators of RFC 7464.
  CHECK(json("\xEF\xBB\xBF\xEF\xBB\xBF{\"text\":\"one\"}\n\xEF\xBB\xBF{\"text\":\"two\"}\n") ==
        Shown{"f:1|one", "f:2|two"});
  CHECK(json("\x1E{\"text\":\"one\"}\n\x1E{\"text\":\"two\"}\n") == Shown{"f:1|one", "f:2|two"});
}

TEST_CASE("JSON: a bad record costs one, wherever it stands") {
  const auto json = [](const std::string& bytes) { return records(InputFormat::jsonl, bytes); };
  const auto lines = [&](const std::string& bad) {
    return json("{\"text\":\"before\"}\n" + bad + "\n{\"text\":\"after\"}\n");
  };
  for (const char* bad : {"{\"text\":\"cut",
                          "{\"text\":\"cut\"",
                          "{\"text\":",
                          "{\"te",
                          "{",
                          "{\"text\":\"cut\",\"x\":[1,",
                          "{\"text\":\"cut\\",
                          "{\"text\":\"cut\\u00",
                          "text\":\"cut\"}",
                          "INFO exported 3",
                          "\"quoted",
                          "-",
                          "{\"text\":'it'}",
                          "{'text':'it'}",
                          "{text:\"it\"}",
                          "{\"text\":\"a\"}}",
                          "{\"text\":\"a\"} b",
                          "{\"text\":\"He said \"}\" to me\"}",
                          "{\"text\":\"He said \"},\"x\":1}",
                          "{\"text\":\"a\"},{\"text\":\"b\"}",
                          "{\"text\":tru}",
                          "{\"text\":01}",
                          "{\"text\":\"a\",}",
                          "{\"text\" \"a\"}",
                          "{\"text\":\"a\" \"b\":1}",
                          "nul",
                          "{\"x\":[[[[[[",
                          "{\"x\":{\"y\":{\"z\":\"",
                          "\xEF\xBB",
                          "12 {\"text\":\"a\"}",
                          "1.}",
                          "}",
                          "]"}) {
    INFO(bad);
    const Shown shown = lines(bad);
    CHECK(shown == Shown{"f:1|before", "f:2|!json", "f:3|after"});
  }
  CHECK(lines("{\"text\":\"two\nlines\"}") == Shown{"f:1|before", "f:2|!json", "f:4|after"});
  CHECK(lines("{\"text\":\"two\r\nlines\",\r\n\"x\":1}") == Shown{"f:1|before", "f:2|!json", "f:5|after"});
  const auto pretty = [&](const std::string& bad) {
    return json("[\n  {\n    \"text\": \"before\"\n  },\n  {\n" + bad +
                "\n  },\n  {\n    \"text\": \"after\"\n  }\n]\n");
  };
  for (const char* bad : {"    \"text\": \"cut", "    \"text\": \"a\"x\"", "    \"text\": nothing", "    \"text\"",
                          "    \"text\": \"a\",", "    'text': 'a'", "    \"text\": \"a\" \"b\"", "    \"text\": [1, 2",
                          "    \"x\": [\n      {\n        \"y\": \"cut\n      }\n    ]"}) {
    INFO(bad);
    const Shown shown = pretty(bad);
    REQUIRE(shown.size() == 3);
    CHECK(shown[0] == "f:2|before");
    CHECK(shown[1] == "f:5|!json");
    CHECK(shown[2].ends_with("|after"));
  }
  CHECK(json("[{\"text\":\"a\"}, 5, null, \"s\", [{\"text\":\"no\"}], {\"text\":\"b\"}]") ==
        Shown{"f:1|a", "f:1#2|!json", "f:1#3|!json", "f:1#4|!json", "f:1#5|!json", "f:1#6|b"});
  CHECK(json("[{\"text\":\"a\"}, {\"text\":tru}, {\"text\":\"b\"}]") == Shown{"f:1|a", "f:1#2|!json", "f:1#3|b"});
}

TEST_CASE("JSON: the value of a member is never rated as a record, however its line is indented") {
  const auto json = [](const std::string& bytes) { return records(InputFormat::jsonl, bytes); };
  for (const char* document :
       {"{ \"meta\":\n{\"text\":\"nested\"},\n\"text\":\"real\"}\n",
        "{ \"meta\":\n{\"text\":\"nested\"}\n,\"text\":\"real\"}\n", "{\"meta\":\n{\"text\":\"nested\"}\n}\n",
        "{\"meta\":\n{\"text\":\"nested\"}}\n", "{\"meta\":\n{\n\"text\":\"nested\"\n},\n\n\"text\":\"real\"}\n"}) {
    INFO(document);
    for (const std::string& one : json(document)) CHECK(one.ends_with("|!json"));
  }
  // A line that is cut behind a colon costs one record, in an array, too.
  CHECK(json("{\"text\":\n{\"text\":\"b\"}\n{\"text\":\"c\"}\n") == Shown{"f:1|!json", "f:2|b", "f:3|c"});
  CHECK(json("{\"text\":\n{\"text\":\"b\"}") == Shown{"f:1|!json", "f:2|b"});
  CHECK(json("[\n{\"text\":\n{\"text\":\"b\"},\n{\"text\":\"c\"}\n]\n") == Shown{"f:2|!json", "f:3|b", "f:4|c"});
  CHECK(json("[\n{\"text\":\n{\"text\":\"b\"}\n]\n") == Shown{"f:2|!json", "f:3|b"});
  CHECK(json("{\"text\":\n{\"text\":\"b\"} c\n{\"text\":\"d\"}\n") == Shown{"f:1|!json", "f:2|!json", "f:3|d"});
  CHECK(json("{\"text\":\n{\"text\":\n{\"text\":\"c\"}\n") == Shown{"f:1|!json", "f:2|!json", "f:3|c"});
}

TEST_CASE("JSON: an end that comes too early is told") {
  const Result array = read_all(InputFormat::jsonl, "[\n{\"text\":\"a\"},\n{\"text\":\"b\"},\n");
  CHECK(array.shown == Shown{"f:2|a", "f:3|b", "f:4|!json"});
  CHECK(array.messages[0] ==
        "dir/f:4: the array that begins in line 1 is not closed: records may be missing behind this one");
  const Result record = read_all(InputFormat::jsonl, "{\n  \"text\": \"a\"\n}\n{\n  \"text\": \"b\"\n");
  CHECK(record.shown == Shown{"f:1|a", "f:4|!json"});
  CHECK(record.messages[0] == "dir/f:4: not valid JSON: the input ends within it");
  CHECK(records(InputFormat::jsonl, "[{\"text\":\"a\"},{\"te") == Shown{"f:1|a", "f:1#2|!json"});
}

TEST_CASE("JSON: numbers that no double holds, and those that Python writes") {
  InputOptions options;
  options.pass = {"*"};
  const std::string line =
      R"({"text":"a","big":1e999,"long":123456789012345678901234567890.00,"n":[NaN,-Infinity],"i":Infinity})";
  CHECK(records(InputFormat::jsonl, line, options) ==
        Shown{"f:1|a|big#1e999|long#123456789012345678901234567890.00|n#[null,null]|i#null"});
  const auto reader = open_records(InputFormat::jsonl, {"f", "f"}, options);
  std::string_view input = line;
  Review review;
  REQUIRE(reader->next(input, true, review));
  CHECK(reader->tally().nonfinite == 3);
  CHECK(records(InputFormat::jsonl, R"({"text":NaN})") == Shown{"f:1|!type"});
  for (const char* number : {"1.", ".5", "+1", "01", "1e", "0x1", "nan", "-", "- 1", "1_000", "Inf"}) {
    INFO(number);
    CHECK(records(InputFormat::jsonl, "{\"text\":\"a\",\"x\":" + std::string(number) + "}") == Shown{"f:1|!json"});
  }
}

TEST_CASE("JSON: a name with a point reaches into objects, unless a field has that very name") {
  InputOptions options;
  options.text_field = "review.text";
  options.id_field = "meta.key.id";
  options.pass = {"review", "review.stars", "meta.key"};
  CHECK(records(InputFormat::jsonl,
                R"({"review":{"text":"a","stars":5,"x":[{"text":"no"}]},"meta":{"key":{"id":7,"v":"w"}}})",
                options) == Shown{"#7|a|review#{\"text\":\"a\",\"stars\":5,\"x\":[{\"text\":\"no\"}]}|review.stars#5|"
                                  "meta.key#{\"id\":7,\"v\":\"w\"}"});
  options.pass = {};
  CHECK(records(InputFormat::jsonl, R"({"review.text":"own","review":{"text":"nested"}})", options) ==
        Shown{"f:1|own"});
  CHECK(records(InputFormat::jsonl, R"({"review":{"text":"nested"},"review.text":"own"})", options) ==
        Shown{"f:1|own"});
  CHECK(records(InputFormat::jsonl, R"({"review":[{"text":"in an array"}]})", options) == Shown{"f:1|!field"});
  CHECK(records(InputFormat::jsonl, R"({"x":{"review":{"text":"deeper"}}})", options) == Shown{"f:1|!field"});
  CHECK(records(InputFormat::jsonl, R"({"review":{"text":{"text":"deeper"}}})", options) == Shown{"f:1|!type"});
  options.where = {Condition("review.lang=en")};
  CHECK(records(InputFormat::jsonl,
                "{\"review\":{\"text\":\"a\",\"lang\":\"en\"}}\n{\"review\":{\"text\":\"b\",\"lang\":\"de\"}}",
                options) == Shown{"f:1|a"});
}

TEST_CASE("JSON: a nested field that comes twice is not chosen from") {
  InputOptions options;
  options.text_field = "r.text";
  const auto read = [&](const std::string& bytes) { return read_all(InputFormat::jsonl, bytes, options); };
  for (const char* line : {R"({"r":{"text":"a","text":"b"}})", R"({"r":{"text":"a"},"r":{"text":"b"}})",
                           R"({"r":{"text":"a"},"r":{"text":"a"},"r":{}})"}) {
    INFO(line);
    const Result result = read(std::string(line) + "\n{\"r\":{\"text\":\"next\"}}\n");
    CHECK(result.shown == Shown{"f:1|!field", "f:2|next"});
    CHECK(result.messages[0].find("the field \"r.text\" comes twice") != std::string::npos);
  }
  // A field of that very name goes before both.
  CHECK(read(R"({"r":{"text":"a","text":"b"},"r.text":"own"})").shown == Shown{"f:1|own"});
  CHECK(read(R"({"r.text":"own","r":{"text":"a","text":"b"}})").shown == Shown{"f:1|own"});
  options.id_field = "r.id";
  CHECK(read(R"({"r":{"text":"a","id":1,"id":2}})").shown == Shown{"f:1|!field"});
  options.id_field = "id";
  options.pass = {"r.x"};
  CHECK(read(R"({"r":{"text":"a","x":1,"x":{}}})").shown == Shown{"f:1|!field"});
  options.pass = {};
  options.where = {Condition("r.x=1")};
  CHECK(read(R"({"r":{"text":"a","x":1,"x":2}})").shown == Shown{"f:1|!field"});
}

TEST_CASE("JSON: where the text's field was guessed, a record with another usual one is not rated") {
  const auto read = [](const std::string& bytes) { return read_all(InputFormat::jsonl, bytes); };
  const Result text = read("{\"comment\":\"a\"}\n{\"text\":\"b\",\"comment\":\"c\"}\n{\"comment\":\"d\"}\n");
  CHECK(text.shown == Shown{"f:1|a", "f:2|!field", "f:3|d"});
  CHECK(text.messages[0] ==
        "dir/f:2: has a field \"text\", but the text is taken from \"comment\" (--text-field names one)");
  CHECK(read("{\"comment\":\"a\"}\n{\"body\":\"b\",\"comment\":\"c\"}\n").shown == Shown{"f:1|a", "f:2|!field"});
  const Result missing = read("{\"comment\":\"a\"}\n{\"text\":\"b\"}\n");
  CHECK(missing.shown == Shown{"f:1|a", "f:2|!field"});
  CHECK(missing.messages[0] ==
        "dir/f:2: there is no field \"comment\", which the text is taken from; the fields are: \"text\" (--text-field "
        "names one)");
  // Nothing was guessed where there is a field "text", or somebody names one.
  CHECK(read("{\"text\":\"a\"}\n{\"text\":\"b\",\"comment\":\"c\"}\n").shown == Shown{"f:1|a", "f:2|b"});
  InputOptions options;
  options.text_field = "comment";
  CHECK(records(InputFormat::jsonl, "{\"comment\":\"a\"}\n{\"text\":\"b\",\"comment\":\"c\"}\n", options) ==
        Shown{"f:1|a", "f:2|c"});
  options.text_field = "text";
  options.where = {Condition("lang=en")};
  CHECK(records(InputFormat::jsonl,
                "{\"comment\":\"a\",\"lang\":\"en\"}\n{\"text\":\"b\",\"comment\":\"c\",\"lang\":\"de\"}\n",
                options) == Shown{"f:1|a"});
}

TEST_CASE("JSON: a missing field says which there are") {
  const Result result = read_all(InputFormat::jsonl, "{\"words\":\"a\",\" stars\":5}\n{}\n");
  CHECK(result.messages[0] ==
        "dir/f:1: there is no field \"text\"; the fields are: \"words\", \" stars\" (--text-field names one)");
  CHECK(result.messages[1] == "dir/f:2: there is no field \"text\"");
}

TEST_CASE("json_evidence tells JSON from text") {
  const auto evidence = [](const std::string& bytes, bool last = true) { return json_evidence(bytes, last, {}); };
  CHECK(evidence("{\"a\":1}\r").objects == 1);
  CHECK(evidence("{\"a\":\"\xFF\\ud800\"}").objects == 1);
  CHECK(evidence("{\"text\":\"a\"}").texts == 1);
  CHECK(evidence("log\n\n{\"text\":\"a\"}\n").objects == 1);
  CHECK(evidence("[\"a\", \"b\"]").objects == 2);
  for (const char* text :
       {"{}", "{braces} are not enough", "[1]", "[SPOILERS] fine", "12", "", "\"quoted\"", "[10/10]"}) {
    INFO(text);
    CHECK(evidence(text).objects == 0);
    CHECK_FALSE(evidence(text).open);
  }
  CHECK(evidence("{\"text\":\"a", false).begun);
  CHECK(evidence("[\n{\n", false).open);
  CHECK_FALSE(evidence("[\n{\n", false).begun);
}

TEST_CASE("--where: operators, texts and decimal numbers") {
  const auto matches = [](const std::string& condition, const std::string& json_value) {
    InputOptions options;
    options.where = {Condition(condition)};
    return !records(InputFormat::jsonl, "{\"text\":\"a\",\"x\":" + json_value + "}", options).empty();
  };
  for (const auto& [condition, value] : std::vector<std::pair<std::string, std::string>>{
           {"x=5", "5"},
           {"x=5", "5.0"},
           {"x=5", "\"5.00\""},
           {"x=5.0", "5"},
           {"x=50", "5e1"},
           {"x=0.05", "5E-2"},
           {"x=0", "-0.0"},
           {"x=007", "\"007\""},
           {"x=a=b", "\"a=b\""},
           {"x=", "\"\""},
           {"x=null", "null"},
           {"x=12345678901234567890", "12345678901234567890"},
           {"x!=12345678901234567890", "12345678901234567891"},
           {"x!=7", "\"007\""},
           {"x!=5", "6"},
           {"x<5", "4.999999999999999999999"},
           {"x<5", "-1e300"},
           {"x>-5", "-4.5"},
           {"x>0.1", "0.10000000000000000000001"},
           {"x>9", "10"},
           {"x<1e400", "9e399"},
           {"x~great", "\"a great film\""},
           {"x~=", "\"a=b\""},
           {"x~", "\"\""},
       }) {
    INFO(condition << " and " << value);
    CHECK(matches(condition, value));
  }
  for (const auto& [condition, value] : std::vector<std::pair<std::string, std::string>>{
           {"x=7", "\"007\""},
           {"x=007", "7"},
           {"x=5", "\"5 \""},
           {"x=5", "\"+5\""},
           {"x=12345678901234567890", "12345678901234567891"},
           {"x!=5", "5.0"},
           {"x<5", "5"},
           {"x<5", "\"four\""},
           {"x>5", "5.0"},
           {"x>5", "\"010\""},
           {"x~great", "\"Great\""},
           {"y!=5", "1"},
       }) {
    INFO(condition << " and " << value);
    CHECK_FALSE(matches(condition, value));
  }
  for (const char* bad : {"", "x", "=5", "!=5", "x<five", "x>=5", "x<", "x!5", "~a"}) {
    INFO(bad);
    CHECK_THROWS_AS(Condition(bad), Error);
  }
}

TEST_CASE("Fields of other names, and --where") {
  InputOptions options;
  options.text_field = "body";
  options.id_field = "key";
  options.where = {Condition("lang=en"), Condition("stars=5")};
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

TEST_CASE("shown_name makes visible what would not show") {
  CHECK(shown_name("dir/reviews.csv") == "dir/reviews.csv");
  CHECK(shown_name("caf\xC3\xA9") == "caf\xC3\xA9");
  CHECK(shown_name("a b") == "\"a b\"");
  CHECK(shown_name("a ") == "\"a \"");
  CHECK(shown_name("") == "\"\"");
  CHECK(shown_name("a\nb\x1B\xFF") == "\"a\\x0Ab\\x1B\\xFF\"");
  CHECK(shown_name("a\u202Eb") == "\"a\\u202Eb\"");
}

}  // namespace reviewrate
