// Each record format, cut at every place: what the reviews are must not depend on how the bytes arrive.
#include "reviewrate/record_reader.h"

#include "catch.h"
#include "reviewrate/byte_stream.h"

namespace reviewrate {

namespace {

// The reviews in one readable string each: id|text, with passed columns, repairs and failures behind.
std::string show(const Review& review) {
  std::string shown = (review.id.json ? "#" : "") + review.id.text + "|";
  shown += review.failure ? "!" + review.failure->kind : review.text;
  for (const Field& field : review.passed) {
    shown += "|" + field.name + (field.value.json ? "#" : "=") + field.value.text;
  }
  if (review.repaired > 0) shown += "|~" + std::to_string(review.repaired);
  return shown;
}

struct Result {
  std::vector<std::string> shown;
  std::vector<std::string> messages;
};

Result read_in_pieces(InputFormat format, const std::string& bytes, const InputOptions& options, std::size_t piece) {
  Result result;
  const auto reader = open_records(format, {"f", "dir/f"}, options);
  try {
    for (std::size_t at = 0;; at += piece) {
      const bool last = at >= bytes.size();
      // A copy of its own, so that the sanitizer sees reads beyond the piece.
      const std::vector<char> copy(bytes.begin() + static_cast<std::ptrdiff_t>(std::min(at, bytes.size())),
                                   bytes.begin() + static_cast<std::ptrdiff_t>(std::min(at + piece, bytes.size())));
      std::string_view input(copy.data(), copy.size());
      for (;;) {
        Review review;
        if (!reader->next(input, last, review)) break;
        result.shown.push_back(show(review));
        if (review.failure) result.messages.push_back(review.failure->message);
      }
      REQUIRE(input.empty());
      if (last) break;
    }
  } catch (const InputFailure& failure) {
    result.shown.push_back("!!" + failure.kind());
    result.messages.push_back(failure.what());
  }
  return result;
}

Result read_all(InputFormat format, const std::string& bytes, const InputOptions& options = {}) {
  const Result whole = read_in_pieces(format, bytes, options, 1 << 20);
  for (const std::size_t piece : {1u, 2u, 3u, 7u}) {
    const Result pieces = read_in_pieces(format, bytes, options, piece);
    CHECK(pieces.shown == whole.shown);
    CHECK(pieces.messages == whole.messages);
  }
  return whole;
}

using Shown = std::vector<std::string>;

Shown records(InputFormat format, const std::string& bytes, const InputOptions& options = {}) {
  return read_all(format, bytes, options).shown;
}

}  // namespace

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
  CHECK(result.messages[0].starts_with("dir/f:1: not valid JSON: column 12: syntax error"));
  CHECK(result.messages[1] == "dir/f:2: valid JSON, but not an object");
  CHECK(result.messages[4] == "dir/f:5: there is no field \"text\"");
  CHECK(result.messages[5] == "dir/f:6: the field \"text\" is a number and not a string");
  for (const std::string& message : result.messages) {
    CHECK(message.size() < 250);
    CHECK(message.find('\n') == std::string::npos);
  }
  CHECK(records(InputFormat::jsonl, "{\"text\":\"a\",\"x\":1e999}\n") == Shown{"f:1|!json"});
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
  options.where = {{"lang", "en"}, {"stars", "5"}};
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

TEST_CASE("CSV: quotes, line ends, blanks and the byte order mark") {
  const auto csv = [](const std::string& bytes) { return records(InputFormat::csv, bytes); };
  CHECK(csv("").empty());
  CHECK(csv("id,text\n").empty());
  CHECK(csv("id,text") == Shown{});
  CHECK(csv("text\na\nb") == Shown{"f:2|a", "f:3|b"});
  CHECK(csv("id,text\r\n1,\"a, \"\"b\"\"\"\r\n2, c \r\n\r\n\"3\",\"d\r\ne\nf\rg\"\r\n4,\"\"\r\n,h\r\n") ==
        Shown{"1|a, \"b\"", "2| c ", "3|d\r\ne\nf\rg", "4|", "f:10|h"});
  CHECK(csv("text,x\n\"a\nb\",1\n\nc,2\n") == Shown{"f:2|a\nb", "f:5|c"});
  CHECK(csv("text,x\ra,1\rb,2\r") == Shown{"f:2|a", "f:3|b"});
  CHECK(csv("\xEF\xBB\xBF\"text\",x\na,1\n") == Shown{"f:2|a"});
  CHECK(csv("\xEF\xBBtext\na\n") == Shown{"!!field"});
  CHECK(csv("text\n\"a\"") == Shown{"f:2|a"});
  CHECK(csv("text\n\"\"\n") == Shown{"f:2|"});
  CHECK(csv("text\na\"b\"c\n") == Shown{"f:2|a\"b\"c"});
  CHECK(csv("text,x\na\xFF,\xFE\nb,c\n") == Shown{"f:2|a\xEF\xBF\xBD|~2", "f:3|b"});
  CHECK(csv(std::string("text\na\0b\n", 9)) == Shown{std::string("f:2|a\0b", 7)});
}

TEST_CASE("CSV: rows that do not fit, and columns that are missing") {
  const Result rows = read_all(InputFormat::csv, "id,text,x\n1,a\n2\n3,b,c,d\n4,e,f\n");
  CHECK(rows.shown == Shown{"1|a", "f:3|!columns", "f:4|!columns", "4|e"});
  CHECK(rows.messages[0] == "dir/f:3: the row has fewer cells than the 3 columns of the first row");
  const Result missing = read_all(InputFormat::csv, "id,body\n1,a\n2,b\n");
  CHECK(missing.shown == Shown{"!!field"});
  CHECK(missing.messages[0] == "there is no column \"text\"; the columns are: id, body");
}

TEST_CASE("CSV: passed columns, twice-named ones, no header") {
  InputOptions options;
  options.pass = {"*"};
  CHECK(records(InputFormat::csv, "x,id,text,y\n1,2,3,4\n1,2,3\n", options) == Shown{"2|3|x=1|y=4", "2|3|x=1"});
  CHECK(records(InputFormat::csv, "x,text,x\n1,a,2\n", options) == Shown{"f:2|a|x=2"});
  options.header = false;
  options.text_field = "2";
  CHECK(records(InputFormat::csv, "a,b\nc,d\ne\n", options) == Shown{"f:1|b|1=a", "f:2|d|1=c", "f:3|!columns"});
  options.text_field = "text";
  CHECK(records(InputFormat::csv, "a,b\nc,d\n", options) == Shown{"!!field"});
}

TEST_CASE("CSV: an unterminated quote is told and bounded") {
  const Result end = read_all(InputFormat::csv, "id,text\n1,\"a\n2,b\n3,c\n");
  CHECK(end.shown == Shown{"f:2|!quote"});
  CHECK(end.messages[0] ==
        "dir/f:2: a quote in the row that begins here is unterminated, so that the row goes on to the end, line 4");

  InputOptions options;
  options.max_review_bytes = 100;
  std::string bytes = "id,text\n1,a\n2,\"open\n";
  int line = 3;
  while (bytes.size() < 70000) {
    bytes += std::to_string(++line) + ",row\n";
  }
  const Result bounded = read_all(InputFormat::csv, bytes, options);
  REQUIRE(bounded.shown.size() > 10);
  CHECK(bounded.shown[0] == "1|a");
  CHECK(bounded.shown[1] == "f:3|!size");
  CHECK(bounded.messages[0].starts_with("dir/f:3: the row that begins here is larger than 100 bytes"));
  CHECK(bounded.shown.back() == std::to_string(line) + "|row");
  // No line is lost between the row that was given up and the next one.
  const std::string next = bounded.shown[2].substr(0, bounded.shown[2].find('|'));
  CHECK(bounded.messages[0].ends_with("in line " + next));

  CHECK(records(InputFormat::csv, "id,text\n1," + std::string(101, 'x') + "\n2," + std::string(100, 'y') + "\n",
                options) == Shown{"1|!size", "2|" + std::string(100, 'y')});
}

TEST_CASE("TSV: quoted as CSV, or raw") {
  InputOptions options;
  CHECK(records(InputFormat::tsv, "id\ttext\n1\t\"a\tb\"\"\n\"\n2\tc,d\n", options) == Shown{"1|a\tb\"\n", "2|c,d"});
  options.quoting = false;
  CHECK(records(InputFormat::tsv, "\xEF\xBB\xBFid\ttext\r\n1\t\"a\n\n2\t\"b\"\n3\tc\td\n4\n5\t", options) ==
        Shown{"1|\"a", "2|\"b\"", "f:5|!columns", "f:6|!columns", "5|"});
  options.max_review_bytes = 3;
  CHECK(records(InputFormat::tsv, "text\nabcd\nabc\n" + std::string(80000, 'x') + "\nz", options) ==
        Shown{"f:2|!size", "f:3|abc", "f:4|!size", "f:5|z"});
}

TEST_CASE("is_json_object") {
  CHECK(is_json_object("{\"a\":1}\r"));
  CHECK(is_json_object(" {} "));
  CHECK(is_json_object("{\"a\":\"\xFF\\ud800\"}"));
  CHECK_FALSE(is_json_object("{braces} are not enough"));
  CHECK_FALSE(is_json_object("[1]"));
  CHECK_FALSE(is_json_object("12"));
  CHECK_FALSE(is_json_object(""));
}

TEST_CASE("failure_message stays on one line and in UTF-8") {
  CHECK(failure_message("a\nb\xFF", "c\td") == "a b\xEF\xBF\xBD: c d");
}

}  // namespace reviewrate
