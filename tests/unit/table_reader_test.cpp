// Tables, cut at every place: what the reviews are must not depend on how the bytes arrive, and no row goes unsaid.
#include <chrono>
#include <random>

#include "read_pieces.h"

namespace reviewrate {
namespace {

constexpr const char* kMark = "\xEF\xBB\xBF";

Shown csv(const std::string& bytes, const InputOptions& options = {}) {
  return records(InputFormat::csv, bytes, options);
}

InputOptions with_text_field(const std::string& name) {
  InputOptions options;
  options.text_field = name;
  return options;
}

}  // namespace

TEST_CASE("CSV: quotes, line ends, blanks and the byte order mark") {
  CHECK(csv("").empty());
  CHECK(csv("id,text\n").empty());
  CHECK(csv("id,text") == Shown{});
  CHECK(csv("text\na\nb") == Shown{"f:2|a", "f:3|b"});
  CHECK(csv("id,text\r\n1,\"a, \"\"b\"\"\"\r\n2, c \r\n\r\n\"3\",\"d\r\ne\nf\rg\"\r\n4,\"\"\r\n,h\r\n") ==
        Shown{"1|a, \"b\"", "2| c ", "3|d\r\ne\nf\rg", "4|", "f:10|h"});
  CHECK(csv("text,x\n\"a\nb\",1\n\nc,2\n") == Shown{"f:2|a\nb", "f:5|c"});
  CHECK(csv("\xEF\xBB\xBF\"text\",x\na,1\n") == Shown{"f:2|a"});
  CHECK(csv("\xEF\xBBtext\na\n") == Shown{"!!field"});
  CHECK(csv("text\n\"a\"") == Shown{"f:2|a"});
  CHECK(csv("text\n\"\"\n") == Shown{"f:2|"});
  CHECK(csv("text,x\na,\nb,") == Shown{"f:2|a", "f:3|b"});
  CHECK(csv("text,x\na\xFF,\xFE\nb,c\n") == Shown{"f:2|a\xEF\xBF\xBD|~2", "f:3|b"});
  CHECK(csv(std::string("text\na\0b\n", 9)) == Shown{std::string("f:2|a\0b", 7)});
}

TEST_CASE("Tables: line ends of all kinds, also mixed") {
  const Shown two = {"f:2|a", "f:3|b"};
  CHECK(csv("text,x\ra,1\rb,2\r") == two);
  CHECK(csv("text,x\r\na,1\r\nb,2\r\n") == two);
  CHECK(csv("text,x\r\na,1\nb,2\r") == two);
  CHECK(csv("text,x\ra,1\r\nb,2") == two);
  CHECK(csv("\r\n\n\rtext,x\n\n\r\r\na,1\r\n\r\n") == Shown{"f:8|a"});
  // In and behind quotes a line end counts once, too.
  CHECK(csv("text,x\r\n\"a\r\nb\rc\nd\",1\r\n\"e\",2\rf,3\r\n") == Shown{"f:2|a\r\nb\rc\nd", "f:6|e", "f:7|f"});
}

TEST_CASE("Tables: blank lines and lines of blanks are no rows, rows of empty cells are") {
  CHECK(csv("\n  \nid,text\n\n1,a\n   \n \t\n,\n2,b\n\n") == Shown{"1|a", "f:8|", "2|b"});
  CHECK(csv("text\n  \na\n") == Shown{"f:2|  ", "f:3|a"});  // of one column, it is a cell
  CHECK(records(InputFormat::tsv, "id\ttext\n\t\n") == Shown{"f:2|"});
}

TEST_CASE("Tables: byte order marks in front of the header and of an appended table are no part of a name") {
  CHECK(csv(std::string(kMark) + kMark + "text,x\na,1\n") == Shown{"f:2|a"});
  CHECK(csv(std::string(kMark) + kMark + "\n" + kMark + "text,x\na,1\n") == Shown{"f:3|a"});
  CHECK(csv(std::string(kMark) + "text,x\na,1\n" + kMark + "text,x\n" + kMark + "\"b\",2\n") ==
        Shown{"f:2|a", "f:4|b"});
  CHECK(csv(kMark).empty());
  CHECK(csv(std::string(kMark) + kMark + "\n").empty());
}

TEST_CASE("Tables: rows with too few or too many cells") {
  const Result rows = read_all(InputFormat::csv, "id,text,x\n1,a\n2\n3,b,c,d\n4,e,f\n\"5\n6\",g\n7,h,i,j,\n8,k,\n");
  CHECK(rows.shown ==
        Shown{"f:2|!columns", "f:3|!columns", "f:4|!columns", "4|e", "f:6|!columns", "f:8|!columns", "8|k"});
  CHECK(rows.messages == Shown{"dir/f:2: the row has 2 cells, but there are 3 columns",
                               "dir/f:3: the row has 1 cell, but there are 3 columns",
                               "dir/f:4: the row has 4 cells, but there are 3 columns",
                               "dir/f:6: the row, lines 6 to 7, has 2 cells, but there are 3 columns",
                               "dir/f:8: the row has 5 cells, but there are 3 columns"});
  const Result one = read_all(InputFormat::csv, "text\nwell, well\n");
  CHECK(one.messages == Shown{"dir/f:2: the row has 2 cells, but there is 1 column"});
}

TEST_CASE("Tables: a missing column, and what there is instead") {
  const auto message = [](InputFormat format, const std::string& bytes, const InputOptions& options = {}) {
    const Result result = read_all(format, bytes, options);
    REQUIRE(result.shown == Shown{"!!field"});
    CHECK(result.notes.empty());
    return result.messages[0];
  };
  CHECK(message(InputFormat::csv, "id, words\n1,a\n2,b\n") ==
        R"(there is no column "text"; the columns are: "id", " words" (--text-field names one))");
  const std::string excel =
      R"(there is no column "text"; the only column is "Date;Review Text;Stars", but --delimiter semicolon )"
      R"(would make it: "Date", "Review Text", "Stars" (--text-field names one))";
  CHECK(message(InputFormat::csv, "Date;Review Text;Stars\n1;a;2\n") == excel);
  InputOptions options;
  options.delimiter = "\t";
  CHECK(message(InputFormat::csv, "Date;Review Text;Stars\n1;a;2\n", options) == excel);
  options.delimiter.clear();
  options.header = false;
  CHECK(message(InputFormat::csv, "a,b\nc,d\n", options) ==
        R"(there is no column "text"; the columns are: "1", "2" (--text-field names one))");
  options.text_field = "2";
  CHECK(message(InputFormat::tsv, "a|b\nc|d\n", options).find("--delimiter bar would make it") != std::string::npos);
  // Many columns: not all of them are listed.
  std::string wide = "c1";
  for (int column = 2; column < 1000; ++column) wide += ",c" + std::to_string(column);
  const std::string cut = message(InputFormat::csv, wide + "\n");
  CHECK(cut.size() < 400);
  CHECK(cut.find("\", ... (--text-field") != std::string::npos);
}

TEST_CASE("Tables: passed columns, no header") {
  InputOptions options;
  options.pass = {"*"};
  CHECK(csv("x,id,text,y\n1,2,3,4\n1,2,3\n", options) == Shown{"2|3|x=1|y=4", "f:3|!columns"});
  options.header = false;
  options.text_field = "2";
  CHECK(csv("a,b\nc,d\ne\na,b\n", options) == Shown{"f:1|b|1=a", "f:2|d|1=c", "f:3|!columns", "f:4|b|1=a"});
  CHECK(csv("\"a\"x,b\nc,d\n", options) == Shown{"f:1|!quote", "f:2|d|1=c"});
}

TEST_CASE("Tables: a column name that comes twice is told, and no value is lost") {
  InputOptions options;
  options.pass = {"*"};
  const Result passed = read_all(InputFormat::csv, "x,text,x,id,x\n1,a,2,i,3\n", options);
  CHECK(passed.shown == Shown{"i|a|x=1|x_2=2|x_3=3"});
  CHECK(passed.notes ==
        Shown{R"(dir/f: the column "x" comes 3 times; the first keeps the name, and then come: "x_2", "x_3")"});
  options.pass = {"x"};
  options.where = {Condition("x=1")};
  CHECK(csv("x,text,x\n1,a,2\n2,b,1\n", options) == Shown{"f:2|a|x=1"});
  options.where.clear();
  // The number leaves names alone that are there already.
  options.pass = {"*"};
  const Result taken = read_all(InputFormat::csv, "x,x_2,text,x,id,id\n1,2,a,3,4,5\n", options);
  CHECK(taken.shown == Shown{"4|a|x=1|x_2=2|x_3=3|id_2=5"});
  CHECK(taken.notes == Shown{R"(dir/f: the column "id" comes twice; the first keeps the name, and then come: "id_2")",
                             R"(dir/f: the column "x" comes twice; the first keeps the name, and then come: "x_3")"});
  // Without a name there is nothing to tell.
  const Result nameless = read_all(InputFormat::csv, "text,,\na,1,2\n", options);
  CHECK(nameless.shown == Shown{"f:2|a|=1|_2=2"});
  CHECK(nameless.notes.empty());
}

TEST_CASE("Tables: --text-field on a name that comes twice is refused, and each of the two can be chosen") {
  const std::string bytes = "id,review,stars,review\n1,Broke at once.,1,We thank you!\n";
  InputOptions options = with_text_field("review");
  options.pass = {"*"};
  const Result refused = read_all(InputFormat::csv, bytes, options);
  CHECK(refused.shown == Shown{"!!field"});
  CHECK(refused.messages == Shown{"the column \"review\" comes twice: name one of them with --text-field, in their "
                                  "order: \"review_1\", \"review_2\""});
  options.text_field = "review_1";
  CHECK(csv(bytes, options) == Shown{"1|Broke at once.|stars=1|review_2=We thank you!"});
  options.text_field = "review_2";
  CHECK(csv(bytes, options) == Shown{"1|We thank you!|review=Broke at once.|stars=1"});
}

TEST_CASE("Tables: blanks around names do not matter where only one column can be meant") {
  InputOptions options = with_text_field("Review");
  options.pass = {"stars", "*"};
  options.where = {Condition("lang= en")};
  CHECK(csv("id , Review ,\tstars, lang,x \n1, a ,5, en,y\n2,b,6,de,z\n", options) ==
        Shown{"1| a |stars=5|lang= en|x =y"});
  options.where.clear();
  options.pass.clear();
  CHECK(csv(" Review,Review\na,b\n", options) == Shown{"f:2|b"});
  CHECK(csv("\" Review \",x\na,b\n", options) == Shown{"f:2|a"});
  const Result unclear = read_all(InputFormat::csv, " Review,Review \na,b\n", options);
  CHECK(unclear.messages ==
        Shown{R"(there is no column "Review"; the columns are: " Review", "Review " (--text-field names one))"});
  options.text_field = " Review";
  CHECK(csv("Review ,x\na,b\n", options) == Shown{"f:2|a"});
  CHECK(csv(" Review,Review \na,b\n", options) == Shown{"f:2|a"});
}

TEST_CASE("Tables: the header may say which delimiter it is") {
  const std::string semicolons = "Date;Review Text;Stars\r\n1.5.;\"Lovely;\r\nwarm\";4,5\r\n2.5.;Dull, very;2\r\n";
  InputOptions options = with_text_field("Review Text");
  options.pass = {"Stars"};
  const Result excel = read_all(InputFormat::csv, kMark + semicolons, options);
  CHECK(excel.shown == Shown{"f:2|Lovely;\r\nwarm|Stars=4,5", "f:4|Dull, very|Stars=2"});
  CHECK(
      excel.notes ==
      Shown{"dir/f: by its first line, a semicolon separates the cells, and not a comma; --delimiter says otherwise"});
  CHECK(csv("Review Text\tStars\na, b\t1\n", options) == Shown{"f:2|a, b|Stars=1"});
  CHECK(csv("Stars|Review Text\n1|a, b\n", options) == Shown{"f:2|a, b|Stars=1"});
  CHECK(csv("\"Stars\";\"Review Text\"\n1;a, b\n", options) == Shown{"f:2|a, b|Stars=1"});
  const Result tsv = read_all(InputFormat::tsv, "Stars,Review Text\n1,\"a\tb\"\n", options);
  CHECK(tsv.shown == Shown{"f:2|a\tb|Stars=1"});
  CHECK(tsv.notes.size() == 1);
  // The format's own delimiter stands as long as it finds the column.
  const Result own = read_all(InputFormat::csv, "Stars;x,Review Text\n1,a;b\n", options);
  CHECK(own.shown == Shown{"f:2|a;b"});
  CHECK(own.notes.empty());
  // What is named is taken.
  options.delimiter = ",";
  CHECK(csv(semicolons, options) == Shown{"!!field"});
  options.delimiter = ";";
  const Result named = read_all(InputFormat::csv, semicolons, options);
  CHECK(named.shown.size() == 2);
  CHECK(named.notes.empty());
  options.delimiter = "^";
  CHECK(csv("Review Text^Stars\na,;|b^1\n", options) == Shown{"f:2|a,;|b|Stars=1"});
}

TEST_CASE("Tables: --delimiter auto goes by the header, or without one by the first row") {
  InputOptions options;
  options.delimiter = "auto";
  CHECK(csv("id;text\n1;a, b\n", options) == Shown{"1|a, b"});
  CHECK(csv("id\ttext\n1\ta, b\n", options) == Shown{"1|a, b"});
  CHECK(csv("id|text\n1|a, b\n", options) == Shown{"1|a, b"});
  CHECK(csv("id,text\n1,a; b\n", options) == Shown{"1|a; b"});
  CHECK(csv("text\na; b\n", options) == Shown{"f:2|a; b"});
  CHECK(csv("\"a,b,c\";text\n1;a\n", options) == Shown{"f:2|a"});
  CHECK(records(InputFormat::tsv, "id,text\n1,a\tb\n", options) == Shown{"1|a\tb"});
  options.header = false;
  options.text_field = "2";
  CHECK(csv("1;so, so;3\n2;b;4\n", options) == Shown{"f:1|so, so", "f:2|b"});
}

TEST_CASE("Tables: Excel's first line names the delimiter") {
  CHECK(csv("sep=;\r\nid;text\r\n1;a, b\r\n") == Shown{"1|a, b"});
  CHECK(csv(kMark + std::string("sep=;\nid;text\n1;a, b\n")) == Shown{"1|a, b"});
  CHECK(csv(kMark + std::string("sep=;\n") + kMark + "id;text\n1;a, b\n") == Shown{"1|a, b"});
  CHECK(csv("\"sep=|\"\nid|text\n1|a, b\n") == Shown{"1|a, b"});
  CHECK(csv("SEP=\t\rid\ttext\r1\ta, b\r") == Shown{"1|a, b"});
  CHECK(csv("sep=,\nid,text\n1,a; b\n") == Shown{"1|a; b"});
  CHECK(csv("sep=^\nid^text\n1^a, b\n") == Shown{"1|a, b"});
  CHECK(csv("\nsep=;\n\nid;text\n1;a\n") == Shown{"1|a"});
  CHECK(read_all(InputFormat::csv, "sep=;\nid;text\n1;a\n").notes.empty());
  CHECK(csv("sep=;").empty());
  // Of a table that was appended with its first lines.
  CHECK(csv("sep=;\nid;text\n1;a\nsep=;\nid;text\n2;b\n") == Shown{"1|a", "2|b"});
  InputOptions options;
  options.delimiter = ",";
  CHECK(csv("sep=;\nid,text\n1,a;b\n", options) == Shown{"1|a;b"});
  options.delimiter = "auto";
  CHECK(csv("sep=;\nid;text\n1;a, b\n", options) == Shown{"1|a, b"});
  options = {};
  options.header = false;
  options.text_field = "2";
  CHECK(csv("sep=;\n1;a, b\n", options) == Shown{"f:2|a, b"});
  // No delimiter.
  CHECK(csv("sep=x\nid,text\n") == Shown{"!!field"});
}

TEST_CASE("Tables: a header that comes again is passed over, and told once") {
  const Result again = read_all(InputFormat::csv, "id,text\n1,a\nid,text\n2,b\n\"id\",\"text\"\n3,c\nid,b\n");
  CHECK(again.shown == Shown{"1|a", "2|b", "3|c", "id|b"});
  CHECK(again.notes == Shown{"dir/f: the header comes again in line 3; such rows are passed over"});
  const Result other = read_all(InputFormat::csv, "id,text\n1,a\ntext,id\nb,2\n");
  CHECK(other.shown == Shown{"1|a", "!!columns"});
  CHECK(other.messages ==
        Shown{"the header comes again in line 3, with its columns in another order; not read any further"});
}

TEST_CASE("Tables: a stray quote costs its own row and no other") {
  // The text is never quoted, but may begin with a quotation mark.
  const std::string tsv =
      "id\ttext\tstars\n1\ta quiet story\t9\n2\t\"poor timing, weak script\t2\n3\tfunny\t8\n4\tthin\t3\n"
      "5\ta \"masterpiece\"\t2\n6\tonce more\t10\n";
  Result result = read_all(InputFormat::tsv, tsv);
  CHECK(result.shown ==
        Shown{"1|a quiet story", "f:3|!quote", "3|funny", "4|thin", "5|a \"masterpiece\"", "6|once more"});
  CHECK(result.messages ==
        Shown{"dir/f:3: the quote in line 3 closes in line 6, where text follows it; reading goes on "
              "in line 4 (--no-quoting: quotes are ordinary characters)"});
  InputOptions raw;
  raw.quoting = false;
  CHECK(records(InputFormat::tsv, tsv, raw) == Shown{"1|a quiet story", "2|\"poor timing, weak script", "3|funny",
                                                     "4|thin", "5|a \"masterpiece\"", "6|once more"});
  CHECK(csv("id,text\n1,\"a\n2,\"b\"\n3,c\n") == Shown{"f:2|!quote", "2|b", "3|c"});
  CHECK(csv("id,text\n1,\"a\n2,b\" \n3,c\n") == Shown{"f:2|!quote", "2|b\" ", "3|c"});
  CHECK(csv("id,text\n1,\"a\r2,b\"c\r3,c\r") == Shown{"f:2|!quote", "2|b\"c", "3|c"});
  // A cell before it spans lines, too: reading goes on behind the line with the bad quote.
  result = read_all(InputFormat::csv, "id,text,x\n\"1\n2\",\"a\n3,b,c\n4,\"d\",e\n5,f,g\n");
  CHECK(result.shown == Shown{"f:2|!quote", "3|b", "4|d", "5|f"});
  CHECK(
      result.messages[0].starts_with("dir/f:2: the quote in line 3 closes in line 5, where text follows it; reading "
                                     "goes on in line 4"));
}

TEST_CASE("Tables: text behind a closing quote") {
  const Result result = read_all(InputFormat::csv, "id,text\n1,\"a \"good\" one\"\n2,b\n3,\"c\"d\n4,\"e\"");
  CHECK(result.shown == Shown{"f:2|!quote", "2|b", "f:4|!quote", "4|e"});
  CHECK(result.messages[0] ==
        "dir/f:2: text follows the closing quote of a cell; quotes in a quoted cell are written twice (--no-quoting: "
        "quotes are ordinary characters)");
  CHECK(csv("id,text\n\"1\" ,\"a\"\t \n\"2\",\"b\"  ") == Shown{"1|a", "2|b"});  // blanks are none
}

TEST_CASE("Tables: a quote in a cell that does not begin with one is a character like any other") {
  CHECK(csv("id,text\n1,5\" disk\n2,a\"b\"c\n3, \"d\"\n4,e\"\n5,\"\"\"f\"\"\"\n") ==
        Shown{"1|5\" disk", "2|a\"b\"c", "3| \"d\"", "4|e\"", "5|\"f\""});
}

TEST_CASE("Tables: a quote that never closes costs its own row and no other") {
  const Result end = read_all(InputFormat::csv, "id,text\n1,\"a\n2,b\n3,c\n4,\"d");
  CHECK(end.shown == Shown{"f:2|!quote", "2|b", "3|c", "f:5|!quote"});
  CHECK(end.messages[0].starts_with("dir/f:2: the quote in line 2 closes in line 5, where text follows it"));
  CHECK(end.messages[1] == "dir/f:5: the quote in line 5 never closes (--no-quoting: quotes are ordinary characters)");
  const Result open = read_all(InputFormat::csv, "id,text\n1,\"a\n2,b\n3,\"\"\n\n4,\"\"\"d\"\"\"\n");
  CHECK(open.shown == Shown{"f:2|!quote", "2|b", "3|", "4|\"d\""});

  InputOptions options;
  options.max_review_bytes = 100;
  std::string bytes = "id,text\n1,a\n2,\"open\n";
  Shown expected = {"1|a", "f:3|!size"};
  for (int line = 4; bytes.size() < 140000; ++line) {
    bytes += std::to_string(line) + ",row\n";
    expected.push_back(std::to_string(line) + "|row");
  }
  const Result bounded = read_all(InputFormat::csv, bytes, options);
  CHECK(bounded.shown == expected);
  REQUIRE(bounded.messages.size() == 1);
  CHECK(
      bounded.messages[0].starts_with("dir/f:3: the row is larger than 100 bytes (--max-review-bytes); the quote in "
                                      "line 3 does not close up to line "));
  CHECK(bounded.messages[0].ends_with("reading goes on in line 4 (--no-quoting: quotes are ordinary characters)"));
}

TEST_CASE("Tables: stray quotes on every line cost no more than one more look") {
  // Lines are read again behind a bad quote; were they read again for each, this would take hours.
  constexpr std::size_t kLines = 500'000;
  const auto rows = [](const std::string& first, const std::string& line) {
    std::string bytes = "text,x,y\n" + first;
    for (std::size_t i = 0; i < kLines; ++i) bytes += line;
    return read_in_pieces(InputFormat::csv, bytes, {}, 1 << 18).shown.size();
  };
  CHECK(rows("", "\"a,b,c\n") == kLines);                           // the next quote closes it, in front of a word
  CHECK(rows("", "a\"\"b,\"\"\"\"\"\"c,d\n") == kLines);            // it closes in its own line, in front of a word
  CHECK(rows("\"a\n", "\"\"\"\",\"\"\"\"\"\",c\n") == kLines + 1);  // the first one takes all lines that it may have
  CHECK(rows("", "a,b,\"\n") == kLines / 2);                        // each closes the one before it
  CHECK(rows("", "\",x\",\"\n") > 0);                               // as well, and opens the next
}

TEST_CASE("Tables: a row or text that is too large is a bad record, and the next is read") {
  InputOptions options;
  options.max_review_bytes = 100;
  const std::string huge(80000, 'x');
  CHECK(csv("id,text\n1," + std::string(101, 'x') + "\n2," + std::string(100, 'y') + "\n", options) ==
        Shown{"1|!size", "2|" + std::string(100, 'y')});
  CHECK(csv("id,text\n1," + huge + "\n2,\"" + huge + "\"\r\n3,c\n\"" + huge, options) ==
        Shown{"f:2|!size", "f:3|!size", "3|c", "f:5|!size"});
  CHECK(csv("id,te" + huge + "\n1,a\n", options) == Shown{"!!size"});
}

TEST_CASE("Tables: a header that a quote spoils is no header, and neither is the row below it") {
  const Result header = read_all(InputFormat::csv, "id,\"text\"s\n1,a\n");
  CHECK(header.shown == Shown{"!!quote"});
  CHECK(header.messages[0].starts_with("there is no header: text follows the closing quote of a cell"));
  CHECK(csv("id,\"text\n1,a\n") == Shown{"!!quote"});
  CHECK(csv("id,\"te\nxt\"\n1,a\n", with_text_field("te\nxt")) == Shown{"1|a"});
}

TEST_CASE("Tables: rows that a quote may have joined without a fault are told") {
  const Result joined = read_all(InputFormat::csv, "id,text,x\n1,\"a,2\n2,b,3\n3,18\",4\n4,c,5\n");
  CHECK(joined.shown == Shown{"1|a,2\n2,b,3\n3,18", "4|c"});
  CHECK(joined.notes == Shown{"dir/f: 1 row made of several lines by quotes, each of which could be a row (the first: "
                              "lines 2 to 4); --no-quoting reads them so"});
  // Most of those that span lines do not look so.
  CHECK(read_all(InputFormat::csv, "id,text\n1,\"a\nb, c\"\n2,\"d,\ne\nf\"\n").notes.empty());
}

TEST_CASE("Tables: an escape makes the next character an ordinary one") {
  InputOptions options;
  options.escape = "\\";
  CHECK(csv("id,text\n1,\"a \\\"good\\\" one, \"\"b\"\"\"\n2,c\\, d\\\\e\n3,\\\"f\n", options) ==
        Shown{"1|a \"good\" one, \"b\"", "2|c, d\\e", "3|\"f"});
  CHECK(csv("id,text\n1,a\\\nb\n2,c\\\r\nd\n3,\"e\\\"\nf\"\n4,\"g\\\\\"\n5,h", options) ==
        Shown{"1|a\nb", "2|c\r\nd", "3|e\"\nf", "4|g\\", "5|h"});
  CHECK(csv("text\na\\", options) == Shown{"f:2|a\\"});
  CHECK(csv("text\n\"a\\", options) == Shown{"f:2|!quote"});
  options.quoting = false;
  CHECK(records(InputFormat::tsv, "id\ttext\n1\ta\\\tb\"\n2\t\"c\\\\\n", options) == Shown{"1|a\tb\"", "2|\"c\\"});
  CHECK(csv("id,text\n1,C:\\new\n") == Shown{"1|C:\\new"});  // without the option it is none
}

TEST_CASE("TSV: quoted as CSV, or raw") {
  InputOptions options;
  CHECK(records(InputFormat::tsv, "id\ttext\n1\t\"a\tb\"\"\n\"\n2\tc,d\n", options) == Shown{"1|a\tb\"\n", "2|c,d"});
  options.quoting = false;
  CHECK(records(InputFormat::tsv, "\xEF\xBB\xBFid\ttext\r\n1\t\"a\n\n2\t\"b\"\n3\tc\td\n4\n5\t", options) ==
        Shown{"1|\"a", "2|\"b\"", "f:5|!columns", "f:6|!columns", "5|"});
  CHECK(csv("id,text\n1,\"a\n2,\"b\"\n", options) == Shown{"1|\"a", "2|\"b\""});
  options.max_review_bytes = 3;
  CHECK(records(InputFormat::tsv, "text\nabcd\nabc\n" + std::string(80000, 'x') + "\nz", options) ==
        Shown{"f:2|!size", "f:3|abc", "f:4|!size", "f:5|z"});
}

}  // namespace reviewrate
