// Sources as the program opens them: texts, files, folders, archives and pipes, in order and with nothing lost.
#include "reviewrate/input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "catch.h"
#include "reviewrate/byte_stream.h"
#include "reviewrate/error.h"
#include "sources.h"

namespace reviewrate {
TEST_CASE("Texts come first, then the files in their order") {
  const Scratch scratch;
  const std::string b = scratch.write("b.txt", "one\ntwo");
  const std::string a = scratch.write("a.txt", "three\n");
  CHECK(all({b, a}, {}, {"x", "y\xFF"}) ==
        Shown{"text:1|x", "text:2|y\xEF\xBF\xBD", b + ":1|one", b + ":2|two", a + ":1|three"});
  InputOptions options;
  options.max_review_bytes = 2;
  CHECK(all({}, options, {"abc", "ab"}) == Shown{"text:1|!size", "text:2|ab"});
}

TEST_CASE("Formats go by name, compression by content") {
  const Scratch scratch;
  const std::string json = "{\"text\":\"a\"}\n";
  for (const char* name : {"x.jsonl", "x.ndjson", "x.json", "X.JSONL", "x.jsonl.gz", "x.jsonl.xz"}) {
    const std::string plain = scratch.write(name, json);
    CHECK(all({plain}) == Shown{plain + ":1|a"});
    const std::string compressed = scratch.write(name, gzip(json));
    CHECK(all({compressed}) == Shown{compressed + ":1|a"});
  }
  const std::string csv = scratch.write("x.csv", "text\na\n");
  CHECK(all({csv}) == Shown{csv + ":2|a"});
  CHECK(all({csv}, with_format(InputFormat::lines)) == Shown{csv + ":1|text", csv + ":2|a"});
  CHECK(all({csv}, with_format(InputFormat::whole)) == Shown{csv + "|text\na\n"});
  const std::string tsv = scratch.write("x.tsv.gz", gzip("id\ttext\n1\ta,b\n"));
  CHECK(all({tsv}) == Shown{"1|a,b"});
  const std::string unknown = scratch.write("x.gz", gzip("a\n"));
  CHECK(all({unknown}) == Shown{unknown + ":1|a"});
  const std::string empty = scratch.write("empty", "");
  CHECK(all({empty}).empty());
  CHECK(all({scratch.write("empty.gz", "")}) == Shown{scratch("empty.gz") + "|!damaged"});
  CHECK(all({scratch.write("short.gz", "\x1f\x8b")}) == Shown{scratch("short.gz") + "|!damaged"});
  CHECK(all({scratch.write("twice.gz", gzip(gzip("a")))}) == Shown{scratch("twice.gz") + "|!archive"});
}

TEST_CASE("Files that cannot be read are bad records in their place") {
  const Scratch scratch;
  const std::string a = scratch.write("a.txt", "one\n");
  Shown messages;
  CHECK(all({scratch("none"), a}, {}, {}, &messages) == Shown{scratch("none") + "|!open", a + ":1|one"});
  CHECK(messages[0] == scratch("none") + ": cannot be opened: No such file or directory");
  CHECK(all({scratch("line\nbreak\xFF")}, {}, {}, &messages) == Shown{scratch("line\nbreak\\xFF") + "|!open"});
  CHECK(messages[1].find('\n') == std::string::npos);
}

TEST_CASE("Damage: the records before it, one bad record, the next file") {
  const Scratch scratch;
  std::string text;
  for (int line = 1; line <= 500; ++line) text += "line " + std::to_string(line * 7919 % 10007) + "\n";
  const std::string compressed = gzip(text);
  const std::string next = scratch.write("next.txt", "next");
  for (std::size_t size = 12; size < compressed.size(); size += 97) {
    const std::string path = scratch.write("x.txt.gz", compressed.substr(0, size));
    const Shown shown = all({path, next});
    REQUIRE(shown.size() >= 2);
    CHECK(shown.back() == next + ":1|next");
    CHECK(shown[shown.size() - 2] == path + "|!damaged");
    for (std::size_t line = 1; line <= shown.size() - 2; ++line) {
      CHECK(shown[line - 1] ==
            path + ":" + std::to_string(line) + "|line " + std::to_string(static_cast<int>(line) * 7919 % 10007));
    }
  }
  const std::string whole = scratch.write("whole/x.txt.gz", compressed.substr(0, compressed.size() - 1));
  CHECK(all({scratch("whole")}) == Shown{"x.txt.gz|!damaged"});
}

TEST_CASE("Folders are walked in the order of paths") {
  const Scratch scratch;
  scratch.write("d/b.txt", "b\n");
  scratch.write("d/a/2.txt", "a2");
  scratch.write("d/a/10.txt", "a10");
  scratch.write("d/a-b", "dash");
  scratch.write("d/a.txt", "dot");
  scratch.write("d/c.jsonl", "{\"text\":\"j1\"}\n{\"text\":\"j2\",\"id\":\"own\"}\n");
  scratch.write("d/.hidden", "no");
  scratch.write("d/.git/x.txt", "no");
  scratch.write("d/empty.txt", "");
  fs::create_directories(scratch("d/nothing"));
  const Shown expected = {"a-b|dash",  "a.txt|dot",    "a/10.txt|a10", "a/2.txt|a2",
                          "b.txt|b\n", "c.jsonl:1|j1", "own|j2",       "empty.txt|"};
  CHECK(all({scratch("d")}) == expected);
  CHECK(all({scratch("d") + "/"}) == expected);
  CHECK(all({scratch("d/a")}, with_format(InputFormat::lines)) == Shown{"10.txt:1|a10", "2.txt:1|a2"});
}

TEST_CASE("Links in folders are followed, but not round in circles") {
  const Scratch scratch;
  scratch.write("d/a/1.txt", "one");
  fs::create_directory_symlink("..", scratch("d/a/up"));
  fs::create_directory_symlink("a", scratch("d/b"));
  fs::create_symlink("a/1.txt", scratch("d/c"));
  fs::create_symlink("nowhere", scratch("d/d"));
  REQUIRE(mkfifo(scratch("d/e").c_str(), 0600) == 0);
  CHECK(all({scratch("d")}) == Shown{"a/1.txt|one", "b/1.txt|one", "c|one", "d|!open", "e|!open"});
}

TEST_CASE("A folder of many files leaves no descriptor open") {
  const Scratch scratch;
  for (int file = 0; file < 3000; ++file) scratch.write("d/" + std::to_string(file), file % 2 == 0 ? "x" : gzip("x"));
  CHECK(all({scratch("d")}).size() == 3000);
  const int fd = dup(0);
  CHECK(fd < 100);
  close(fd);
}

TEST_CASE("Archives: members by name, hidden ones left out, links and archives told") {
  const Scratch scratch;
  const std::string inner = make_archive(false, {{"i.txt", "inner"}});
  const std::vector<Item> items = {{"pos/1.txt", "good\n"},
                                   {"./neg/2.txt", ""},
                                   {"r.csv", "id,text\n7,row\n,two\n"},
                                   {"._x", "no"},
                                   {"a/.b/c", "no"},
                                   {"../up.txt", "up"},
                                   {"dir/", ""},
                                   {"z.jsonl.gz", gzip("{\"text\":\"z\"}")},
                                   {"in.tar", inner},
                                   {"last", "last"}};
  const Shown expected = {"pos/1.txt|good\n", "neg/2.txt|",     "7|row",           "r.csv:3|two",
                          "../up.txt|up",     "z.jsonl.gz:1|z", "in.tar|!archive", "last|last"};
  CHECK(all({scratch.write("a.tar", make_archive(false, items))}) == expected);
  CHECK(all({scratch.write("a.tgz", gzip(make_archive(false, items)))}) == expected);
  CHECK(all({scratch.write("a", gzip(make_archive(false, items)))}) == expected);
  CHECK(all({scratch.write("a.zip", make_archive(true, items))}) == expected);
  const std::vector<Item> link = {{"a", "1"}, {"b", "a", true}, {"c", "3"}};
  CHECK(all({scratch.write("l.tar", make_archive(false, link))}) == Shown{"a|1", "b|!archive", "c|3"});
  scratch.write("d/x.tar", make_archive(false, {{"m.txt", "member"}, {"m.csv", "text\nrow\n"}}));
  CHECK(all({scratch("d")}) == Shown{"x.tar/m.txt|member", "x.tar/m.csv:2|row"});
  CHECK(all({scratch.write("e.tar", "")}) == Shown{scratch("e.tar") + "|!damaged"});
  CHECK(all({scratch.write("t.tar", "no tar at all")}) == Shown{scratch("t.tar") + "|!damaged"});
}

TEST_CASE("Damage in an archive: whole members before it, one bad record, the next file") {
  const Scratch scratch;
  const std::string next = scratch.write("next.txt", "next");
  const std::string tar = make_archive(false, {{"a", "one"}, {"b", std::string(2000, 'b')}, {"c", "three"}});
  const std::string path = scratch.write("a.tar", tar.substr(0, tar.find("bbbb") + 600));
  CHECK(all({path, next}) == Shown{"a|one", "b|!damaged", next + ":1|next"});
  std::string zip =
      make_archive(true, {{"a", std::string(500, 'a')}, {"b.gz", gzip("bee").substr(0, 15)}, {"c", "three"}});
  const std::string compressed = scratch.write("a.zip", zip);
  CHECK(all({compressed, next}) == Shown{"a|" + std::string(500, 'a'), "b.gz|!damaged", "c|three", next + ":1|next"});
}

TEST_CASE("A bomb is one bad record") {
  const Scratch scratch;
  std::string lines(std::size_t{70} << 20, 'x');
  lines[1] = '\n';
  const std::string path = scratch.write("b.gz", gzip(lines));
  CHECK(all({path}) == Shown{path + ":1|x", path + "|!bomb"});
}

TEST_CASE("--include chooses among paths and members") {
  const Scratch scratch;
  const std::string a = scratch.write("d/pos/a.txt", "a");
  scratch.write("d/neg/b.txt", "b");
  scratch.write("d/pos/c.md", "c");
  scratch.write("d/t.tar", make_archive(false, {{"pos/x.txt", "x"}, {"neg/y.md", "y"}}));
  InputOptions options;
  options.include = {"*.txt"};
  CHECK(all({scratch("d")}, options) == Shown{"neg/b.txt|b", "pos/a.txt|a", "t.tar/pos/x.txt|x"});
  options.include = {"pos/*", "**/y.md"};
  CHECK(all({scratch("d")}, options) == Shown{"pos/a.txt|a", "pos/c.md|c", "t.tar/neg/y.md|y"});
  CHECK(all({scratch("d/t.tar")}, options) == Shown{"pos/x.txt|x", "neg/y.md|y"});
  CHECK(all({a}, options).empty());
  options.include = {"*/a.*"};
  CHECK(all({a}, options) == Shown{a + ":1|a"});
}

TEST_CASE("--where contradicts inputs without fields") {
  PollWaiter waiter;
  InputOptions options;
  options.where = {Condition("a=b")};
  CHECK_NOTHROW(open_source({}, {"-"}, options, waiter));
  CHECK_THROWS_AS(open_source({"text"}, {}, options, waiter), Error);
  options.format = InputFormat::whole;
  CHECK_THROWS_AS(open_source({}, {"-"}, options, waiter), Error);
}

TEST_CASE("stdin: compression and format by content") {
  CHECK(piped("a\nb") == Shown{"-:1|a", "-:2|b"});
  CHECK(piped("").empty());
  CHECK(piped("{\"text\":\"a\"}\n{\"id\":1}\n") == Shown{"-:1|a", "1|!field"});
  CHECK(piped("{\"text\":\"a\"}") == Shown{"-:1|a"});
  CHECK(piped("{\"text\":\"a\"\n{\"text\":\"b\"}\n") == Shown{"-:1|!json", "-:2|b"});
  CHECK(piped("\n{\"text\":\"a\"}\n") == Shown{"-:2|a"});
  CHECK(piped("text\na\n") == Shown{"-:2|a"});
  CHECK(piped("text\na\n", with_format(InputFormat::lines)) == Shown{"-:1|text", "-:2|a"});
  CHECK(piped("text\na\n", with_format(InputFormat::csv)) == Shown{"-:2|a"});
  CHECK(piped("a\nb", with_format(InputFormat::whole)) == Shown{"-|a\nb"});
  CHECK(piped(gzip("{\"text\":\"a\"}\n")) == Shown{"-:1|a"});
  CHECK(piped(gzip(make_archive(false, {{"a.txt", "x\ny"}}))) == Shown{"a.txt|x\ny"});
  CHECK(piped(make_archive(true, {{"a.txt", "x\ny"}, {"b.jsonl", "{\"text\":\"b\"}"}})) ==
        Shown{"a.txt|x\ny", "b.jsonl:1|b"});
  InputOptions options;
  options.include = {"*.txt"};
  CHECK(piped("a\n", options) == Shown{"-:1|a"});
}

TEST_CASE("an interruption ends the reading of a file, too") {
  const Scratch scratch;
  PollWaiter waiter;
  waiter.interrupt = true;
  const auto source = open_source({}, {scratch.write("a.txt", "one\n")}, {}, waiter);
  Review review;
  CHECK(source->next(review, true) == Source::Status::end);
}

TEST_CASE("an interruption ends the reading at any place of a file, too") {
  const Scratch scratch;
  const std::string path = scratch.write("a", "some bytes");
  PollWaiter waiter;
  std::atomic<std::uint64_t> total = 0;
  FdStream file(open(path.c_str(), O_RDONLY), true, waiter, total);
  std::string bytes(5, ' ');
  file.read_at(5, bytes);
  CHECK(bytes == "bytes");
  waiter.interrupt = true;
  CHECK_THROWS_AS(file.read_at(5, bytes), ReadInterrupted);
}

TEST_CASE("stdin that is a file is read from where it stands") {
  const Scratch scratch;
  const std::string path = scratch.write("a.txt", "one\ntwo\nthree\n");
  std::FILE* file = std::fopen(path.c_str(), "r");
  REQUIRE(file != nullptr);
  REQUIRE(lseek(fileno(file), 4, SEEK_SET) == 4);
  const Stdin replaced(fileno(file));
  PollWaiter waiter;
  const auto source = open_source({}, {"-"}, {}, waiter);
  Review review;
  REQUIRE(source->next(review, false) == Source::Status::review);
  CHECK(brief(review) == "-:1|two");
  CHECK(source->bytes_total() == 14);
  CHECK(review.position == 4);
  std::fclose(file);
}

TEST_CASE("A record's position is where it ends in the inputs as they are stored") {
  const Scratch scratch;
  PollWaiter waiter;
  for (const std::string name : {"a.txt", "a.jsonl", "a.csv"}) {
    std::string bytes = name == "a.csv" ? "text\n" : "";
    std::vector<std::uint64_t> ends;
    for (int i = 0; i < 100; ++i) {
      bytes += name == "a.jsonl" ? "{\"text\": \"a\"}\n" : "words of a review\n";
      ends.push_back(bytes.size());
    }
    const auto source = open_source({}, {scratch.write(name, bytes)}, {}, waiter);
    std::vector<std::uint64_t> positions;
    Review review;
    while (source->next(review, true) == Source::Status::review) positions.push_back(review.position);
    REQUIRE(positions.size() == ends.size());
    for (std::size_t i = 0; i < ends.size(); ++i) {
      // JSON ends at its bracket or a little behind it.
      CHECK(positions[i] + 2 >= ends[i]);
      CHECK(positions[i] <= ends[i] + 1);
    }
  }
}

TEST_CASE("A slow pipe: idle in the middle of a record, at once when it is whole") {
  for (const bool compressed : {false, true}) {
    for (const bool json : {false, true}) {
      int fds[2];
      REQUIRE(pipe(fds) == 0);
      const Stdin replaced(fds[0]);
      close(fds[0]);
      z_stream zlib{};
      deflateInit2(&zlib, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY);
      const auto send = [&](std::string bytes) {
        if (compressed) {  // with a sync flush, as a live logger does
          std::string out(1000, '\0');
          zlib.next_in = reinterpret_cast<Bytef*>(bytes.data());
          zlib.avail_in = static_cast<uInt>(bytes.size());
          zlib.next_out = reinterpret_cast<Bytef*>(out.data());
          zlib.avail_out = static_cast<uInt>(out.size());
          deflate(&zlib, Z_SYNC_FLUSH);
          out.resize(out.size() - zlib.avail_out);
          bytes = out;
        }
        REQUIRE(write(fds[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
      };
      const std::string open = json ? "{\"text\":\"" : "";
      const std::string close_text = json ? "\"}\n" : "\n";

      PollWaiter waiter;
      const auto source = open_source({}, {"-"}, {}, waiter);
      Review review;
      CHECK(source->next(review, false) == Source::Status::idle);
      send(open);
      CHECK(source->next(review, false) == Source::Status::idle);
      send("half");
      CHECK(source->next(review, false) == Source::Status::idle);
      send(" whole" + close_text + open + "an");
      REQUIRE(source->next(review, false) == Source::Status::review);
      CHECK(brief(review) == "-:1|half whole");
      CHECK(source->next(review, false) == Source::Status::idle);
      CHECK(source->next(review, false) == Source::Status::idle);
      send("other" + close_text);
      REQUIRE(source->next(review, true) == Source::Status::review);
      CHECK(brief(review) == "-:2|another");
      CHECK(source->bytes_total() == 0);
      send(open + "cut");
      waiter.interrupt = true;
      CHECK(source->next(review, true) == Source::Status::end);
      close(fds[1]);
      deflateEnd(&zlib);
    }
  }
}

TEST_CASE("bytes_total is the sum of regular files, or unknown") {
  const Scratch scratch;
  const std::string a = scratch.write("a.txt", "12345");
  const std::string b = scratch.write("d/b.txt", "123");
  PollWaiter waiter;
  CHECK(open_source({}, {a, b}, {}, waiter)->bytes_total() == 8);
  CHECK(open_source({}, {a, scratch("d")}, {}, waiter)->bytes_total() == 0);
  CHECK(open_source({"x"}, {}, {}, waiter)->bytes_total() == 0);
}

}  // namespace reviewrate
