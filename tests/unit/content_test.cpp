// What content is taken for, by whatever name it comes: JSON, tables, lines, other encodings, and what is no text.
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <thread>

#include "catch.h"
#include "reviewrate/error.h"
#include "sources.h"

namespace reviewrate {
namespace {

const std::string kLines = "{\"text\":\"one\"}\n{\"text\":\"two\"}\n";
const std::string kPretty = "[\n  {\n    \"text\": \"one\"\n  },\n  {\n    \"text\": \"two\"\n  }\n]\n";

// `text`, which is ASCII, in UTF-16 or UTF-32.
std::string widened(const std::string& text, std::size_t unit, bool big, bool mark) {
  std::string wide;
  const auto add = [&](unsigned value) {
    for (std::size_t i = 0; i < unit; ++i) {
      const std::size_t shift = 8 * (big ? unit - 1 - i : i);
      wide += static_cast<char>(value >> shift & 0xFF);
    }
  };
  if (mark) add(0xFEFF);
  for (const char c : text) add(static_cast<unsigned char>(c));
  return wide;
}

InputFindings findings_of(const std::vector<std::string>& files, const InputOptions& options = {}) {
  InputFindings findings;
  all(files, options, {}, nullptr, &findings);
  return findings;
}

}  // namespace

TEST_CASE("JSON is found by content, whatever it is called and comes through") {
  const Scratch scratch;
  for (const std::string& json :
       Shown{kLines, kPretty, "\n \r\n" + kLines, "\xEF\xBB\xBF" + kLines, "[{\"text\":\"one\"},{\"text\":\"two\"}]",
             "{\n\"text\":\n\"one\"\n}\n{\n\"text\":\"two\"}", std::string("{\"text\":\"one\"}{\"text\":\"two\"}")}) {
    INFO(json);
    for (const char* name :
         {"a", "a.jl", "a.jsonl.1", "a.json", "a.log", "a.txt", "a.jsonl", "a.ndjson", "b.2024-01-01"}) {
      INFO(name);
      CHECK(texts(all({scratch.write(name, json)})) == Shown{"one", "two"});
      CHECK(texts(all({scratch.write("gz/" + std::string(name) + ".gz", gzip(json))})) == Shown{"one", "two"});
    }
    CHECK(texts(piped(json)) == Shown{"one", "two"});
    CHECK(texts(piped(gzip(json))) == Shown{"one", "two"});
    scratch.write("spark/part-00000", json);
    CHECK(texts(all({scratch("spark")})) == Shown{"one", "two"});
    CHECK(texts(piped(make_archive(false, {{"part-00000", json}}))) == Shown{"one", "two"});
  }
  REQUIRE(mkfifo(scratch("fifo").c_str(), 0600) == 0);
  std::thread writer([&] { std::ofstream(scratch("fifo")) << kPretty; });
  CHECK(texts(all({scratch("fifo")})) == Shown{"one", "two"});
  writer.join();
}

TEST_CASE("Lines before JSON do not make lines of it") {
  CHECK(piped("INFO 2 exported\n" + kLines) == Shown{"-:1|!json", "-:2|one", "-:3|two"});
  CHECK(piped("ut short\"}\n" + kLines) == Shown{"-:1|!json", "-:2|one", "-:3|two"});
  CHECK(piped("a\nb\n" + kPretty) == Shown{"-:1|!json", "-:2|!json", "-:4|one", "-:7|two"});
  CHECK(piped("{\"opinion\":\"a\"}\n") == Shown{"-:1|!field"});
  // What is broken is no plain text for that.
  CHECK(piped("{\"text\":\"cut") == Shown{"-:1|!json"});
  CHECK(piped("{\"text\": no}\n") == Shown{"-:1|!json"});
  CHECK(piped("{'text': 'a'}\n{'text': 'b'}\n") == Shown{"-:1|!json", "-:2|!json"});
  CHECK(piped("[\"a\",\"b\"]\n") == Shown{"-:1|!json", "-:1#2|!json"});
  CHECK(piped("{\"text\":\"" + std::string(60000, 'x') + "\"}").size() == 1);
}

TEST_CASE("A record longer than what is looked at is JSON still") {
  const Scratch scratch;
  const std::string text(200000, 'x');
  CHECK((texts(all({scratch.write("a", "{\"text\":\"" + text + "\"}\n")})) == Shown{text}));
  CHECK((texts(all({scratch.write("a", text + "\n")})) == Shown{text}));
}

TEST_CASE("Plain text that only looks like JSON is lines") {
  for (const char* line :
       {"{braces} are not enough", "[SPOILERS] fine", "[2019]", "{", "[", "{}", "12", "\"quoted\"", "[5/10]", "null"}) {
    INFO(line);
    CHECK(piped(std::string(line) + "\nsecond\n") == Shown{"-:1|" + std::string(line), "-:2|second"});
  }
}

TEST_CASE("A JSON object among lines is never rated") {
  const Scratch scratch;
  std::string many;
  for (int i = 0; i < 20000; ++i) many += "a line\n";
  Shown messages;
  const Shown shown = all({scratch.write("a", many + "{\"text\":\"one\"}\nlast\n")}, {}, {}, &messages);
  REQUIRE(shown.size() == 20002);
  CHECK(shown[20000].ends_with(":20001|!format"));
  CHECK(shown[20001].ends_with(":20002|last"));
  CHECK(messages[0].find("--input-format jsonl") != std::string::npos);
  const Shown other = all({scratch.write("a", many + "{\"title\":\"one\"}\n{not JSON}\n")});
  CHECK(other[20000].ends_with(":20001|!format"));
  CHECK(other[20001].ends_with(":20002|{not JSON}"));
  const InputOptions forced = with_format(InputFormat::lines);
  CHECK(piped(kLines, forced) == Shown{"-:1|{\"text\":\"one\"}", "-:2|{\"text\":\"two\"}"});
}

TEST_CASE("A .txt file is lines, unless they are JSON or a table, which is said once") {
  const Scratch scratch;
  Shown notices;
  InputOptions options;
  options.notify = [&](const std::string& notice) { notices.push_back(notice); };
  const std::string json = scratch.write("a.txt", kLines);
  CHECK(texts(all({json, json}, options)) == Shown{"one", "two", "one", "two"});
  REQUIRE(notices.size() == 1);
  CHECK(notices[0].starts_with(json + ": is read as JSON"));
  std::string most = "a\nb\nc\n" + kLines;
  CHECK(texts(all({scratch.write("b.txt", most)}, options)) == Shown{"a", "b", "c", "!format", "!format"});
  CHECK(notices.size() == 1);
  CHECK(texts(all({scratch.write("c.txt", "id,text\n1,a\n")}, options)) == Shown{"a"});
  CHECK(texts(all({scratch.write("c.txt", "id,name\n1,a\n")}, options)) == Shown{"id,name", "1,a"});
  CHECK(all({scratch.write("e.txt", "{\"opinion\":\"a\"}\n")}, options).back().ends_with("|!field"));
  scratch.write("d/a.txt", kLines);
  scratch.write("d/b.txt", "id,text\n1,a\n");
  CHECK(all({scratch("d")}, options) == Shown{"a.txt:1|one", "a.txt:2|two", "b.txt|id,text\n1,a\n"});
}

TEST_CASE("Options that only tables or fields have are never passed over in silence") {
  InputOptions options;
  options.text_field = "sentence";
  CHECK(piped("label,sentence\n1,a\n", options) == Shown{"-:2|a"});
  CHECK(piped("label,Sentence of all\n1,a\n", options) == Shown{"-|!field"});
  CHECK(piped("a line\nanother\n", options) == Shown{"-|!field"});
  options.format = InputFormat::lines;
  CHECK(texts(piped("a line\n", options)) == Shown{"a line"});
  options = {};
  options.header = false;
  options.text_field = "2";
  options.delimiter = "\t";
  CHECK(texts(piped("1\ta film\t5\n2\tanother\t1\n", options)) == Shown{"a film", "another"});
  options.delimiter = ";";
  CHECK(texts(piped("1;a film;5\n", options)) == Shown{"a film"});
  options = {};
  options.delimiter = "\x01";
  CHECK(texts(piped("id\x01text\n1\x01one\n", options)) == Shown{"one"});
}

TEST_CASE("What only looks like lines: arrays of values, objects without quotes, line ends of old Macs") {
  CHECK(texts(piped("[[\"a\",1],[\"b\",0]]\n")) == Shown{"!json", "!json"});
  CHECK(texts(piped("{text: 'a'}\n")) == Shown{"!json"});
  CHECK(piped("one\rtwo\rthree\r") == Shown{"-|!format"});
  CHECK(piped("one\rtwo\r\n") == Shown{"-:1|one\rtwo"});
}

TEST_CASE("Looking ahead at what is damaged loses nothing before the damage") {
  const Scratch scratch;
  std::string lines;
  for (int i = 0; i < 5000; ++i) lines += std::to_string(i * 7919 % 10007) + "\n";
  const std::string cut = gzip(lines).substr(0, gzip(lines).size() - 1);
  for (const char* name : {"a.gz", "a.txt.gz", "a"}) {
    const Shown shown = texts(all({scratch.write(name, cut)}));
    REQUIRE(shown.size() == 5001);
    CHECK(shown.back() == "!damaged");
  }
  CHECK(texts(piped(cut)).size() == 5001);
}

TEST_CASE("A table's name over JSON is refused") {
  const Scratch scratch;
  for (const std::string& json : Shown{kLines, "{\"id\":1,\"text\"", "{\n\"text\":\"one\"}"}) {
    Shown messages;
    CHECK(texts(all({scratch.write("a.csv", json)}, {}, {}, &messages)) == Shown{"!format"});
    CHECK(messages[0].ends_with("has the name of a table, but is JSON; --input-format jsonl reads it"));
    CHECK(texts(all({scratch.write("a.tsv.gz", gzip(json))})) == Shown{"!format"});
  }
  CHECK(texts(all({scratch.write("a.csv", kLines)}, with_format(InputFormat::jsonl))) == Shown{"one", "two"});
}

TEST_CASE("UTF-16 and UTF-32 with a mark are decoded, others by name") {
  const Scratch scratch;
  for (const std::string& text :
       {std::string("one\r\ntwo\r\n"), kLines, kPretty, std::string("id,text\r\n1,one\r\n2,two\r\n")}) {
    for (const std::size_t unit : {2u, 4u}) {
      for (const bool big : {false, true}) {
        const std::string bytes = widened(text, unit, big, true);
        CHECK(texts(piped(bytes)) == Shown{"one", "two"});
        CHECK(texts(piped(gzip(bytes))) == Shown{"one", "two"});
        InputOptions options;
        options.encoding = std::string(unit == 2 ? "UTF-16" : "utf-32") + (big ? "BE" : "LE");
        CHECK(texts(piped(widened(text, unit, big, false), options)) == Shown{"one", "two"});
        options.encoding = "latin1";  // the mark knows better
        CHECK(texts(piped(bytes, options)) == Shown{"one", "two"});
      }
    }
  }
  scratch.write("d/a.txt", widened("one", 2, false, true));
  CHECK(all({scratch("d")}) == Shown{"a.txt|one"});
  CHECK(all({scratch.write("e.txt", "\xFF\xFE")}).empty());
  InputOptions options;
  options.encoding = "windows-1252";
  CHECK(texts(piped("caf\xE9 \x80\x81\n", options)) == Shown{"caf\xC3\xA9 \xE2\x82\xAC\xEF\xBF\xBD"});
  CHECK(texts(piped("\xEF\xBB\xBF"
                    "caf\xC3\xA9\n",
                    options)) == Shown{"caf\xC3\xA9"});
  CHECK(texts(piped(make_archive(true, {{"a.txt", "caf\xE9"}}), options)) == Shown{"caf\xC3\xA9"});
  options.encoding = "shift_jis";
  CHECK(texts(piped("\x83\x65\x83\x58\x83\x67\n", options)) == Shown{"\xE3\x83\x86\xE3\x82\xB9\xE3\x83\x88"});
  options.encoding = "UTF-16LE";
  CHECK(texts(piped(std::string("a\0\0\xD8"
                                "b\0\n\0c",
                                9),
                    options)) == Shown{"a\xEF\xBF\xBD"
                                       "b",
                                       "\xEF\xBF\xBD"});
  PollWaiter waiter;
  for (const char* name : {"no-such", "UTF-8//IGNORE", "/"}) {
    options.encoding = name;
    CHECK_THROWS_WITH(open_source({}, {"-"}, options, waiter), Catch::Contains(name));
  }
}

TEST_CASE("A long text in another encoding is decoded across blocks") {
  const Scratch scratch;
  std::string text;
  std::string expected;
  for (int i = 0; i < 40000; ++i) {
    text += "\x82\xA0\x82\xA2";  // Shift JIS
    expected += "\xE3\x81\x82\xE3\x81\x84";
    if (i % 100 == 99) {
      text += '\n';
      expected += '\n';
    }
  }
  InputOptions options;
  options.encoding = "SHIFT_JIS";
  std::string joined;
  for (const std::string& line : texts(all({scratch.write("a.txt", text)}, options))) joined += line + '\n';
  CHECK((joined == expected));
}

TEST_CASE("Reviews that lost letters to their encoding: most of a file is a problem") {
  const Scratch scratch;
  const std::string bad = scratch.write("bad name.txt", "caf\xE9\nna\xEFve\nplain\n");
  const std::string good = scratch.write("good.csv", "text\ncaf\xC3\xA9\n\xFF\nplain\n");
  InputFindings findings = findings_of({bad, good});
  REQUIRE(findings.problems.size() == 1);
  CHECK(findings.problems[0].starts_with("\"" + bad + "\": 2 of 3 reviews are not UTF-8"));
  CHECK(findings.problems[0].find("--encoding") != std::string::npos);
  InputOptions options;
  options.encoding = "latin1";
  CHECK(findings_of({bad, good}, options).problems.empty());
  for (int i = 0; i < 5; ++i) scratch.write("d/" + std::to_string(i) + ".txt", i == 0 ? "plain" : "\xE9");
  CHECK(findings_of({scratch("d")}).problems.size() == 1);
  for (int i = 0; i < 5; ++i) scratch.write("e/" + std::to_string(i) + ".csv", "text\n\xE9\n");
  findings = findings_of({scratch("e")});
  REQUIRE(findings.problems.size() == 4);
  CHECK(findings.problems[3].find("2 more files") != std::string::npos);
}

TEST_CASE("What was lost is told, wherever the reading ends") {
  const Scratch scratch;
  for (int i = 0; i < 5; ++i) scratch.write("d/" + std::to_string(i) + ".txt", "caf\xE9");
  const std::string table = scratch.write("a.csv", "text,x\n\"a,1\nb\",2\nc,3\nd,4\n");
  scratch.write("e/1.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n");
  scratch.write("e/2.jsonl", "{\"text\":\"c\",\"lang\":\"en\"}\n{\"text\":\"d\",\"lang\":\"en\"}\n");
  for (const bool limit : {true, false}) {
    INFO(limit);
    // The rest is left by the reader, or by whom it reads for.
    const auto findings_after = [&](std::size_t count, const std::string& file, const InputOptions& asked = {}) {
      InputOptions options = asked;
      if (limit) options.limit = count;
      PollWaiter waiter;
      const auto source = open_source({}, {file}, options, waiter);
      Review review;
      for (std::size_t i = 0; i < count; ++i) REQUIRE(source->next(review, true) == Source::Status::review);
      if (limit) CHECK(source->next(review, true) == Source::Status::end);
      return source->findings();
    };
    CHECK(findings_after(2, scratch("d")).problems.size() == 1);
    CHECK(findings_after(5, scratch("d")).problems.size() == 1);
    const InputFindings rows = findings_after(1, table);
    REQUIRE(rows.remarks.size() == 1);
    CHECK(rows.remarks[0].find("1 row made of several lines by quotes") != std::string::npos);
    InputOptions options;
    options.pass = {"lang"};
    CHECK(findings_after(3, scratch("e"), options).problems.empty());
    CHECK(findings_after(2, scratch("e"), options).problems == Shown{"no record has a field \"lang\""});
  }
}

TEST_CASE("Text in UTF-16 whose end is missing is told to be cut") {
  const Scratch scratch;
  const std::string cut = "\xFF\xFE" + std::string("a\0 \0f", 5);
  for (const std::string& name : {std::string("a.txt"), std::string("d/a.txt")}) {
    const std::string file = scratch.write(name, cut);
    const InputFindings findings = findings_of({name[0] == 'd' ? scratch("d") : file});
    REQUIRE(findings.problems.size() == 1);
    CHECK(findings.problems[0].find("1 of 1 reviews are not UTF-16LE") != std::string::npos);
    CHECK(findings.problems[0].find("its end is missing") != std::string::npos);
    CHECK(findings.problems[0].find("windows-1252") == std::string::npos);
  }
}

TEST_CASE("What is no text is one bad record that says what it is") {
  using namespace std::string_literals;
  const Scratch scratch;
  const std::map<std::string, std::string> kinds = {
      {"PDF", "%PDF-1.7\n1 0 obj\n"s},
      {"lz4", "\x04\x22\x4D\x18\x64\x40\xA7 a text"s},
      {"Avro", "Obj\x01 some text\n"s},
      {"encrypted Parquet", "PARE\x2C\0\0\0"s},
      {"encrypted Parquet", "PARE\x15\x04\x15\x10\x15"s},
      {"Feather", "FEA1\0\0\0\0"s},
      {"SQLite", "SQLite format 3\0\x10"s},
      {"ORC", "ORC\n\x06\x12\x04\x08\x01P\0\n\x15\n"s},
      {"ORC", "ORC\x08\x03\x10\0\"\x11\x08"s},
      {"PNG", "\x89PNG\r\n\x1A\n\0"s},
      {"JPEG", "\xFF\xD8\xFF\xE0 JFIF\n"s},
      {"GIF", "GIF89a\x01\n"s},
      {"GGUF", "GGUF\x03\0\0\0"s},
      {"pickle", "\x80\x04\x95\n"s},
      {"HDF5", "\x89HDF\r\n\x1A\n"s},
      {"NumPy", "\x93NUMPY\x01"s},
      {"ELF",
       "\x7F"
       "ELF\x02\x01"s},
      {"7z", "7z\xBC\xAF\x27\x1C\n"s},
      {"rar", "Rar!\x1A\x07\n"s},
      {"Office", "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1\n"s},
      {"RTF", "{\\rtf1 text}\n"s},
      {"safetensors", "\x40\0\0\0\0\0\0\0{\"a\":1}"s},
      {"NUL", "some text\0more\n"s},
      {"UTF-16LE", widened("a plain text\n", 2, false, false)},
      {"UTF-16BE", widened("a plain text\n", 2, true, false)},
      {"binary", std::string(600, '\x03') + std::string(300, '\xC1') + "\n"},
  };
  for (const auto& [kind, bytes] : kinds) {
    INFO(kind);
    for (const char* name : {"a", "a.txt", "d/a", "d/a.txt"}) {
      Shown messages;
      const std::string file = scratch.write(name, bytes);
      const bool inside = name[0] == 'd';
      CHECK(texts(all({inside ? scratch("d") : file}, {}, {}, &messages)).back() == "!format");
      REQUIRE_FALSE(messages.empty());
      CHECK(messages.back().find(kind) != std::string::npos);
      fs::remove(file);
    }
    CHECK(piped(bytes) == Shown{"-|!format"});
    CHECK(piped(gzip(bytes)) == Shown{"-|!format"});
    CHECK(piped(bytes, with_format(InputFormat::lines)) == Shown{"-|!format"});
    CHECK(texts(piped(make_archive(false, {{"a", bytes}, {"b", "text"}}))) == Shown{"!format", "text"});
  }
  for (const auto& [kind, name] : std::map<std::string, std::string>{{"Office", "[Content_Types].xml"},
                                                                     {"Excel", "xl/workbook.xml"},
                                                                     {"Word", "word/document.xml"},
                                                                     {"Office", "docProps/app.xml"},
                                                                     {"OpenDocument", "mimetype"},
                                                                     {"PyTorch", "model/data.pkl"},
                                                                     {"NumPy", "arr_0.npy"}}) {
    INFO(name);
    Shown messages;
    CHECK(piped(make_archive(true, {{name, "<xml/>"}, {"b.txt", "text"}}), {}, &messages) == Shown{"-|!format"});
    CHECK(messages[0].find(kind) != std::string::npos);
  }
  for (const char* text : {"PARENTS BEWARE\n", "PAR1\n", "PAR1 was late\n", "FEA1\n", "I loved WEBP\n", "RIFF raff\n",
                           "ORC\n", "ORC and elf\n", "MZ\n", "GGUF is a format\n", "P\n", "BM\n", "Rar!\n",
                           "\x1B[1mbold\x1B[0m\n", "II*\n", "caf\xE9\n", "ID3\n"}) {
    INFO(text);
    CHECK(piped(text).size() == 1);
    CHECK(texts(piped(text))[0].find('!') != 0);
  }
}

TEST_CASE("Names that promise an archive over something else; pages in the place of data") {
  const Scratch scratch;
  const std::string html = "<!DOCTYPE html>\n<html><body>Quota exceeded</body></html>\n";
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 5\n";
  const std::string error = "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code></Error>\n";
  for (const std::string& page : Shown{html, pointer, error, "\n <HTML>\n", "\xEF\xBB\xBF" + html}) {
    INFO(page);
    for (const char* name :
         {"a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.txt.gz", "a.csv.gz", "a.jsonl.zst", "a.xz", "d/a.gz"}) {
      INFO(name);
      Shown messages;
      const std::string file = scratch.write(name, page);
      CHECK(texts(all({name[0] == 'd' ? scratch("d") : file}, {}, {}, &messages)) == Shown{"!damaged"});
      CHECK((messages[0].find("page") != std::string::npos ||
             messages[0].find("Git LFS pointer") != std::string::npos ||
             messages[0].find("XML document") != std::string::npos));
    }
    for (const char* name : {"a", "a.csv", "a.jsonl", "a.txt"}) {
      CHECK(texts(all({scratch.write(name, page)})) == Shown{"!format"});
    }
    CHECK(piped(page) == Shown{"-|!format"});
  }
  CHECK(texts(piped(html, with_format(InputFormat::whole))) == Shown{html});
  CHECK(texts(piped(pointer, with_format(InputFormat::whole))) == Shown{"!format"});
  scratch.write("pages/a.html", html);
  CHECK(all({scratch("pages")}) == Shown{"a.html|" + html});
  // What HTTP expanded on the way is read where the content says so itself, and else is no archive.
  CHECK(texts(all({scratch.write("b.csv.gz", "text\na\n")})) == Shown{"a"});
  CHECK(texts(all({scratch.write("b.gz", kLines)})) == Shown{"one", "two"});
  CHECK(texts(all({scratch.write("b.txt.gz", "a\nb\n")})) == Shown{"!damaged"});
  CHECK(texts(all({scratch.write("b.zip", "text,stars\na,1\n")})) == Shown{"!damaged"});
  CHECK(texts(all({scratch.write("c.gz", "")})) == Shown{"!damaged"});
}

TEST_CASE("What other programs leave beside their data is passed over and counted") {
  const Scratch scratch;
  const std::vector<std::string> markers = {
      "_SUCCESS",    "._SUCCESS.crc", ".part-0.crc",    ".DS_Store",  "__MACOSX/._a.csv", "_metadata",  "Thumbs.db",
      "desktop.ini", ".git/x",        "_committed_123", "._part.csv", "_temporary/0/x",   "part-0.csv~"};
  std::vector<Item> items = {{"part-0.csv", "text\na\n"}};
  for (const std::string& marker : markers) {
    scratch.write("d/" + marker, "no data");
    items.push_back({marker, "no data"});
  }
  scratch.write("d/part-0.csv", "text\na\n");
  scratch.write("d/_reviews.csv", "text\nb\n");
  InputFindings findings;
  CHECK(texts(all({scratch("d")}, {}, {}, nullptr, &findings)) == Shown{"b", "a"});
  CHECK(findings.skipped == std::map<std::string, std::size_t>{{"hidden", 5}, {"marker", 8}});
  CHECK(texts(all({scratch.write("a.zip", make_archive(true, items))}, {}, {}, nullptr, &findings)) == Shown{"a"});
  CHECK(findings.skipped["hidden"] + findings.skipped["marker"] == markers.size());
  CHECK(texts(all({scratch("d/_SUCCESS")})) == Shown{"no data"});
  InputOptions options;
  options.include = {"part*"};
  CHECK(texts(all({scratch("d")}, options, {}, nullptr, &findings)) == Shown{"a"});
  CHECK(findings.skipped["not included"] == 1);
}

TEST_CASE("Fields that were asked for and are in no record") {
  const Scratch scratch;
  const std::string file =
      scratch.write("a.jsonl", "{\"text\":\"a\",\"lang\":\"en\",\"stars\":5}\n{\"text\":\"b\",\"lang\":\"de\"}\n");
  const auto find = [&](const std::vector<std::string>& where, const std::vector<std::string>& pass = {},
                        const std::string& id = "id") {
    InputOptions options;
    options.where = std::vector<Condition>(where.begin(), where.end());
    options.pass = pass;
    options.id_field = id;
    return findings_of({file}, options);
  };
  CHECK(find({}).problems.empty());
  CHECK(find({"lang=en", "stars=5"}, {"stars", "*"}).problems.empty());
  CHECK(find({"Lang=en"}).problems == Shown{"no record has a field \"Lang\""});
  CHECK(find({"Lang=en"}).remarks.empty());
  CHECK(find({"lang = en"}).problems == Shown{"no record has a field \"lang \""});
  CHECK(find({"lang=en"}, {"title", "stars"}, "key").problems ==
        Shown{"no record has a field \"title\"", "no record has a field \"key\""});
  CHECK(find({"lang=fr"}).problems.empty());
  CHECK(find({"lang=fr"}).remarks == Shown{"--where \"lang=fr\": no record fulfils it"});
  CHECK(find({"lang=de", "stars=5"}).remarks == Shown{"no record fulfils all conditions of --where"});
  InputOptions options;
  options.where = {Condition("lang=en")};
  const std::string lines = scratch.write("a.txt", "a\nb\n");
  InputFindings findings;
  CHECK(all({lines}, options, {}, nullptr, &findings).empty());
  REQUIRE(findings.problems.size() == 1);
  CHECK(findings.problems[0].find("lines and whole files have no fields") != std::string::npos);
  CHECK(findings_of({lines, file}, options).problems.empty());
  CHECK(findings_of({scratch.write("empty.jsonl", "")}, options).problems.empty());
  options.where = {};
  options.pass = {"x"};
  CHECK(findings_of({scratch.write("n.jsonl", "{\"text\":\"a\",\"x\":NaN}\n")}, options).nonfinite == 1);
  CHECK(findings_of({scratch.write("a.csv", "text,x\na,1\n")}, options).problems.empty());
}

TEST_CASE("File names that are not UTF-8 make different ids") {
  const Scratch scratch;
  for (const char* name : {"d/caf\xE9", "d/caf\xE8", "d/caf\\xE9", "d/\xC3\xA9 \\n"}) scratch.write(name, "a");
  CHECK(all({scratch("d")}) == Shown{"caf\\x5CxE9|a", "caf\\xE8|a", "caf\\xE9|a", "\xC3\xA9 \\n|a"});
  const std::vector<Item> items = {{"x\xE9/1.csv", "text\na\n"}};
  scratch.write("e/\xE9.tar", make_archive(false, items));
  CHECK(texts(all({scratch("e")})) == Shown{"a"});
  CHECK(all({scratch("e")})[0].starts_with("\\xE9.tar/x"));
}

TEST_CASE("A slow pipe is answered as soon as its first line tells what it is") {
  int fds[2];
  const auto open_pipe = [&](const std::string& bytes) {
    REQUIRE(pipe(fds) == 0);
    REQUIRE(write(fds[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  };
  const auto send = [&](const std::string& bytes) {
    REQUIRE(write(fds[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  };
  struct Step {
    std::string bytes;
    Shown expected;
  };
  const std::vector<std::vector<Step>> talks = {
      {{"plain\n", {"plain"}}, {"more\n", {"more"}}, {"{\"text\":\"x\"}\n", {"!format"}}},
      {{"[", {}}, {"SPOILERS] fine\n", {"[SPOILERS] fine"}}},
      {{"{\"text\":\"a\"}\n", {"a"}}, {"{\"text\":\"b\"}\n{\"te", {"b"}}, {"xt\":\"c\"}\n", {"c"}}},
      {{"\n", {}}, {"{\"text\":\"a\"}\n", {"a"}}},
      {{"[\n", {}}, {"{\"text\":\"a\"}", {}}, {",\n", {"a"}}, {"{\"text\":\"b\"}\n", {"b"}}, {"]\n", {}}},
      {{"{\n", {}}, {"\"text\":\n\"a\"", {}}, {"}\n", {"a"}}},
      {{"id,te", {}}, {"xt\n", {}}, {"1,a\n", {"a"}}},
      {{"text\n", {}}, {"\n", {}}, {"a, b\n", {"a, b"}}},
      {{"\xFF", {}}, {std::string("\xFEh\0i\0", 5), {}}, {std::string("\n\0", 2), {"hi"}}},
  };
  for (const std::vector<Step>& talk : talks) {
    open_pipe("");
    const Stdin replaced(fds[0]);
    close(fds[0]);
    PollWaiter waiter;
    const auto source = open_source({}, {"-"}, {}, waiter);
    for (const Step& step : talk) {
      INFO(step.bytes);
      send(step.bytes);
      Shown shown;
      Review review;
      while (source->next(review, false) == Source::Status::review) shown.push_back(brief(review));
      CHECK(texts(shown) == step.expected);
    }
    close(fds[1]);
  }
}

}  // namespace reviewrate
