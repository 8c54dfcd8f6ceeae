// Descriptors, compressed streams and archives: every way to cut them, and damage at every place.
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <clocale>
#include <functional>

#include "catch.h"
#include "reviewrate/input.h"
#include "reviewrate/storage.h"

namespace reviewrate {
namespace {

using Status = ByteStream::Status;

// Gives a string in pieces of a fixed size; answers idle before each piece if asked to.
class StringStream final : public ByteStream {
 public:
  StringStream(std::string bytes, std::size_t piece, bool slow = false)
      : bytes_(std::move(bytes)), piece_(piece), slow_(slow) {}

  Status read(std::span<char> buffer, std::size_t& size, bool may_block) override {
    size = 0;
    if (slow_ && !may_block && (idle_ = !idle_)) return Status::idle;
    size = std::string_view(bytes_).substr(at_).copy(buffer.data(), std::min(piece_, buffer.size()));
    at_ += size;
    return size > 0 ? Status::data : Status::end;
  }

 private:
  std::string bytes_;
  std::size_t piece_;
  bool slow_;
  bool idle_ = false;
  std::size_t at_ = 0;
};

class PollWaiter final : public Waiter {
 public:
  Event wait(int fd, bool may_block) override {
    pollfd poll_fd{fd, POLLIN, 0};
    return poll(&poll_fd, 1, may_block ? -1 : 0) > 0 ? Event::ready : Event::idle;
  }
};

std::string gzip(const std::string& text) {
  z_stream zlib{};
  REQUIRE(deflateInit2(&zlib, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&zlib, static_cast<uLong>(text.size())) + 64, '\0');
  zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  zlib.avail_in = static_cast<uInt>(text.size());
  zlib.next_out = reinterpret_cast<Bytef*>(out.data());
  zlib.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&zlib, Z_FINISH) == Z_STREAM_END);
  out.resize(zlib.total_out);
  deflateEnd(&zlib);
  return out;
}

using Members = std::vector<std::pair<std::string, std::string>>;

// Writes an archive into memory with libarchive.
std::string make_archive(const std::function<void(archive*)>& choose, const Members& members) {
  std::setlocale(LC_CTYPE, "C.UTF-8");  // libarchive writes names in other character sets than ASCII only so
  archive* writer = archive_write_new();
  choose(writer);
  archive_write_set_bytes_per_block(writer, 0);
  std::string out(1 << 20, '\0');
  std::size_t used = 0;
  REQUIRE(archive_write_open_memory(writer, out.data(), out.size(), &used) == ARCHIVE_OK);
  for (const auto& [name, text] : members) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, static_cast<la_int64_t>(text.size()));
    REQUIRE(archive_write_header(writer, entry) == ARCHIVE_OK);
    REQUIRE(archive_write_data(writer, text.data(), text.size()) == static_cast<la_ssize_t>(text.size()));
    archive_entry_free(entry);
  }
  REQUIRE(archive_write_close(writer) == ARCHIVE_OK);
  archive_write_free(writer);
  std::setlocale(LC_CTYPE, "C");
  out.resize(used);
  return out;
}

std::string compress(StorageForm form, const std::string& text) {
  if (form == StorageForm::gzip) return gzip(text);
  return make_archive(
      [&](archive* writer) {
        archive_write_set_format_raw(writer);
        if (form == StorageForm::zstd) archive_write_add_filter_zstd(writer);
        if (form == StorageForm::xz) archive_write_add_filter_xz(writer);
        if (form == StorageForm::bzip2) archive_write_add_filter_bzip2(writer);
      },
      {{"data", text}});
}

std::string tar(const Members& members) {
  return make_archive([](archive* writer) { archive_write_set_format_pax_restricted(writer); }, members);
}

std::string zip(const Members& members) {
  return make_archive([](archive* writer) { archive_write_set_format_zip(writer); }, members);
}

std::uint64_t plenty = std::uint64_t{1} << 40;

std::unique_ptr<ByteStream> open_compressed_bytes(std::string bytes, StorageForm form, std::size_t piece,
                                                  bool slow = false) {
  auto inner = std::make_unique<StringStream>(std::move(bytes), piece, slow);
  return open_compressed(std::move(inner), form, ExpansionLimit(plenty));
}

struct Drained {
  std::string bytes;
  std::string failure;  // its kind
  std::string reason;
  int idles = 0;
};

Drained drain(ByteStream& stream, std::size_t capacity, bool may_block = true) {
  Drained result;
  std::vector<char> buffer(capacity);
  try {
    for (bool block = may_block;;) {
      std::size_t size = 0;
      const Status status = stream.read(buffer, size, block);
      if (status == Status::end) return result;
      if (status == Status::idle) ++result.idles;
      REQUIRE(status != Status::interrupted);
      if (status == Status::data) REQUIRE(size > 0);
      result.bytes.append(buffer.data(), size);
    }
  } catch (const InputFailure& failure) {
    result.failure = failure.kind();
    result.reason = failure.what();
  }
  return result;
}

// The members' names and bytes in one string, and the failure at the end.
Drained drain(ArchiveReader& archive, std::size_t capacity = 1000) {
  Drained result;
  try {
    ArchiveReader::Member member;
    while (archive.next(member, true) == Status::data) {
      result.bytes += "[" + member.path + "]";
      const std::unique_ptr<ByteStream> content = open_member(archive);
      const Drained bytes = drain(*content, capacity);
      result.bytes += bytes.bytes;
      if (!bytes.failure.empty()) {
        result.bytes += "!";
        result.failure = bytes.failure;
        result.reason = bytes.reason;
        if (archive.broken()) break;
      }
    }
  } catch (const InputFailure& failure) {
    result.failure = failure.kind();
    result.reason = failure.what();
  }
  return result;
}

Drained drain_archive(std::string bytes, StorageForm form, std::size_t piece = 100000) {
  ArchiveReader archive(std::make_unique<StringStream>(std::move(bytes), piece), form, ExpansionLimit(plenty));
  return drain(archive);
}

std::string sample(std::size_t size) {
  std::string text;
  for (unsigned seed = 1; text.size() < size; seed = seed * 1664525 + 1013904223) {
    text += "word" + std::to_string(seed >> 20) + (seed % 7 == 0 ? "\n" : " ");
  }
  text.resize(size);
  return text;
}

const std::vector<StorageForm> kCompressions = {StorageForm::gzip, StorageForm::zstd, StorageForm::xz,
                                                StorageForm::bzip2};

}  // namespace

TEST_CASE("storage_form_of knows each form by its magic, and when it cannot know yet") {
  for (const StorageForm form : kCompressions) {
    const std::string bytes = compress(form, "hello");
    CHECK(storage_form_of(bytes) == form);
    for (std::size_t size = 0; size < 3; ++size)
      CHECK(storage_form_of(bytes.substr(0, size)) == StorageForm::undecided);
  }
  CHECK(storage_form_of(compress(StorageForm::bzip2, "")) == StorageForm::bzip2);
  CHECK(storage_form_of(tar({{"a", "b"}})) == StorageForm::tar);
  CHECK(storage_form_of(zip({{"a", "b"}})) == StorageForm::zip);
  CHECK(storage_form_of("Perfect.\n") == StorageForm::plain);
  CHECK(storage_form_of("BZh9 was its name\n") == StorageForm::plain);
  CHECK(storage_form_of("BZh9") == StorageForm::undecided);
  CHECK(storage_form_of("P") == StorageForm::undecided);
}

TEST_CASE("Compressed streams give their bytes whatever the sizes of reads and blocks") {
  for (const StorageForm form : kCompressions) {
    for (const std::string& text : {std::string(), std::string("one\ntwo"), sample(70000)}) {
      const std::string bytes = compress(form, text);
      for (const std::size_t piece : {1u, 2u, 3u, 7u, 1000000u}) {
        for (const std::size_t capacity : {1u, 7u, 300000u}) {
          if (text.size() > 100 && capacity == 1 && piece < 7) continue;
          const Drained result = drain(*open_compressed_bytes(bytes, form, piece), capacity);
          CHECK(result.failure == "");
          CHECK((result.bytes == text));
        }
      }
    }
  }
}

TEST_CASE("Concatenated compressed streams are one stream") {
  for (const StorageForm form : kCompressions) {
    const std::string bytes = compress(form, "one\n") + compress(form, "") + compress(form, "two\n");
    for (const std::size_t piece : {1u, 5u, 100000u}) {
      const Drained result = drain(*open_compressed_bytes(bytes, form, piece), 100);
      CHECK(result.failure == "");
      CHECK(result.bytes == "one\ntwo\n");
    }
  }
}

TEST_CASE("zstd: skippable frames anywhere, as pzstd and the seekable format write them") {
  const auto skippable = [](char number, const std::string& content) {
    std::string frame = "P*M\x18";
    frame[0] = static_cast<char>(frame[0] + number);
    for (int shift = 0; shift < 32; shift += 8) frame += static_cast<char>(content.size() >> shift & 0xFF);
    return frame + content;
  };
  const auto frame = [](const std::string& text) { return compress(StorageForm::zstd, text); };
  const std::string text = sample(300000);
  const std::vector<std::string> streams = {
      skippable(0, "size") + frame(text),
      frame(text) + skippable(14, std::string(17, 's')),
      skippable(15, "") + frame("") + skippable(3, std::string(300000, 'x')) + frame(text.substr(0, 10)) +
          skippable(0, "x") + frame(text.substr(10)),
  };
  for (const std::string& stream : streams) {
    CHECK(storage_form_of(stream) == StorageForm::zstd);
    for (const std::size_t piece : {1u, 1000u, 1000000u}) {
      const Drained result = drain(*open_compressed_bytes(stream, StorageForm::zstd, piece), 10000);
      CHECK(result.failure == "");
      CHECK((result.bytes == text));
    }
    for (const std::size_t size : {stream.size() - 1, stream.size() / 2}) {
      CHECK(drain(*open_compressed_bytes(stream.substr(0, size), StorageForm::zstd, 100), 100).failure == "damaged");
    }
  }
  CHECK(drain(*open_compressed_bytes(skippable(1, "nothing else"), StorageForm::zstd, 100), 100).bytes == "");
  CHECK(storage_form_of("P*M") == StorageForm::undecided);
  CHECK(storage_form_of("Z*") == StorageForm::undecided);
  CHECK(storage_form_of("P*M?") == StorageForm::plain);
}

TEST_CASE("Names in zip archives that Windows programs wrote") {
  std::string bytes = zip({{"pos#1.txt", "good"}, {"neg#", ""}, {"a/b#c", "mixed"}});
  std::replace(bytes.begin(), bytes.end(), '#', '\\');
  ArchiveReader archive(std::make_unique<StringStream>(bytes, 100), StorageForm::zip, ExpansionLimit(plenty));
  ArchiveReader::Member member;
  REQUIRE(archive.next(member, true) == Status::data);
  CHECK(member.path == "pos/1.txt");
  CHECK(member.regular);
  REQUIRE(archive.next(member, true) == Status::data);
  CHECK(member.path == "neg/");
  CHECK_FALSE(member.regular);
  REQUIRE(archive.next(member, true) == Status::data);
  CHECK(member.path == "a/b\\c");
  CHECK(archive.next(member, true) == Status::end);
  CHECK(drain_archive(tar({{"a\\b", "x"}}), StorageForm::tar).bytes == "[a\\b]x");
}

TEST_CASE("A compressed stream that is cut anywhere is damaged") {
  const std::string text = sample(3000);
  for (const StorageForm form : kCompressions) {
    const std::string bytes = compress(form, text);
    for (std::size_t size = 10; size < bytes.size(); size += 1 + size / 50) {
      INFO("form " << static_cast<int>(form) << ", " << size << " of " << bytes.size());
      const Drained result = drain(*open_compressed_bytes(bytes.substr(0, size), form, 100000), 500);
      CHECK(result.failure == "damaged");
      CHECK(text.starts_with(result.bytes));
    }
    const Drained last = drain(*open_compressed_bytes(bytes.substr(0, bytes.size() - 1), form, 100000), 500);
    CHECK(last.failure == "damaged");
    if (form == StorageForm::gzip) CHECK(last.bytes == text);
  }
}

TEST_CASE("A flipped bit in a compressed stream is never a clean end with other bytes") {
  const std::string text = sample(3000);
  // zstd is not among them: its checksum is optional, and libarchive writes none.
  for (const StorageForm form : {StorageForm::gzip, StorageForm::xz, StorageForm::bzip2}) {
    const std::string bytes = compress(form, text);
    for (std::size_t at = 4; at < bytes.size(); at += 7) {
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
      const Drained result = drain(*open_compressed_bytes(flipped, form, 100000), 500);
      INFO("form " << static_cast<int>(form) << ", byte " << at << " of " << bytes.size());
      CHECK((result.failure == "damaged" || result.bytes == text));
    }
  }
}

TEST_CASE("Other data behind a compressed stream is noticed, zeros behind gzip are padding") {
  for (const StorageForm form : kCompressions) {
    for (const std::size_t piece : {1u, 100000u}) {
      const Drained result = drain(*open_compressed_bytes(compress(form, "one\n") + "garbage", form, piece), 100);
      INFO("form " << static_cast<int>(form) << ", piece " << piece);
      CHECK(result.failure == "damaged");
    }
  }
  CHECK(drain(*open_compressed_bytes(gzip("one\n") + std::string(999, '\0'), StorageForm::gzip, 10), 100).failure ==
        "");
  CHECK(drain(*open_compressed_bytes(gzip("one\n") + std::string(9, '\0') + "x", StorageForm::gzip, 10), 100).failure ==
        "damaged");
}

TEST_CASE("gzip answers idle anywhere and goes on, without holding anything back") {
  const std::string text = sample(20000);
  auto stream = open_compressed_bytes(gzip(text), StorageForm::gzip, 3, true);
  const Drained result = drain(*stream, 100, false);
  CHECK(result.failure == "");
  CHECK((result.bytes == text));
  CHECK(result.idles > 1000);
}

TEST_CASE("The other forms answer idle between steps") {
  const std::string text = sample(20000);
  for (const StorageForm form : kCompressions) {
    auto stream = open_compressed_bytes(compress(form, text), form, 50, true);
    const Drained result = drain(*stream, 100, false);
    CHECK((result.bytes == text));
    CHECK(result.idles > 0);
  }
}

TEST_CASE("Bombs are noticed, small files that expand much are not bombs") {
  std::uint64_t stored = 1000;
  ExpansionLimit limit(stored);
  limit.add(std::size_t{64} << 20);
  CHECK_THROWS_AS(limit.add(1), InputFailure);
  stored = std::uint64_t{1} << 20;
  CHECK_NOTHROW(limit.add(1));

  const std::string zeros = gzip(std::string(std::size_t{70} << 20, 'a'));
  std::uint64_t size = zeros.size();
  auto bomb = open_compressed(std::make_unique<StringStream>(zeros, 100000), StorageForm::gzip, ExpansionLimit(size));
  const Drained result = drain(*bomb, 1 << 18);
  CHECK(result.failure == "bomb");
  CHECK(result.bytes.size() == std::size_t{64} << 20);
}

TEST_CASE("Archives give their members in order") {
  const Members members = {
      {"./pos/1.txt", "good"}, {"neg/2.txt", ""}, {"caf\xC3\xA9.txt", sample(20000)}, {"z", "z\n"}};
  const std::string expected = "[pos/1.txt]good[neg/2.txt][caf\xC3\xA9.txt]" + sample(20000) + "[z]z\n";
  for (const std::size_t piece : {1u, 3u, 511u, 100000u}) {
    CHECK((drain_archive(tar(members), StorageForm::tar, piece).bytes == expected));
    CHECK((drain_archive(zip(members), StorageForm::zip, piece).bytes == expected));
  }
  CHECK(drain_archive(tar(members), StorageForm::tar).failure == "");
  CHECK(drain_archive(zip(members), StorageForm::zip).failure == "");
  CHECK(drain_archive(zip({}), StorageForm::zip).failure == "");
  CHECK(drain_archive(tar({}), StorageForm::tar).failure == "");
  CHECK(drain_archive(tar({{"a", "1"}}) + tar({{"b", "2"}}), StorageForm::tar).bytes == "[a]1[b]2");
}

TEST_CASE("An archive that is cut anywhere is damaged") {
  const Members members = {{"a.txt", sample(1500)}, {"b.txt", "short"}, {"c.txt", sample(700)}};
  for (const StorageForm form : {StorageForm::tar, StorageForm::zip}) {
    const std::string bytes = form == StorageForm::tar ? tar(members) : zip(members);
    const std::string whole = drain_archive(bytes, form).bytes;
    const std::size_t end =
        form == StorageForm::tar ? bytes.find_last_not_of('\0') + 1 : bytes.find("PK\x01\x02");  // of the members
    for (std::size_t size = 1; size < end; size += size < 600 ? 37 : 101) {
      INFO("form " << static_cast<int>(form) << ", " << size << " of " << bytes.size());
      const Drained result = drain_archive(bytes.substr(0, size), form);
      CHECK(result.failure == "damaged");
      CHECK(whole.starts_with(result.bytes.substr(0, result.bytes.find('!'))));
    }
  }
  const std::string bytes = tar({{"a", "1"}});
  CHECK(drain_archive(bytes.substr(0, 1024), StorageForm::tar).failure == "damaged");  // at the end of a member
  CHECK(drain_archive(bytes + "garbage that is no tar header" + std::string(700, 'x'), StorageForm::tar).failure ==
        "damaged");
}

TEST_CASE("A wrong checksum spoils one member of a zip archive, or the gzip below a tar") {
  std::string bytes = zip({{"a", sample(400)}, {"b", "good"}});
  bytes[bytes.find("word") == std::string::npos ? 60 : bytes.find("word")] ^= 1;
  const Drained result = drain_archive(bytes, StorageForm::zip);
  CHECK(result.failure == "damaged");
  std::string compressed = gzip(tar({{"a", "one"}, {"b", "two"}}));
  compressed[compressed.size() - 5] ^= 1;
  ArchiveReader archive(open_compressed_bytes(compressed, StorageForm::gzip, 100), StorageForm::tar,
                        ExpansionLimit(plenty));
  const Drained checked = drain(archive);
  CHECK(checked.bytes == "[a]one[b]two");
  CHECK(checked.failure == "damaged");
  CHECK(archive.broken());
}

TEST_CASE("PeekStream shows what it will give") {
  PeekStream stream(std::make_unique<StringStream>("abcdefgh", 3, true));
  CHECK(stream.peek(4, false) == Status::idle);
  CHECK(stream.peek(4, true) == Status::data);
  CHECK(stream.seen() == "abcdef");
  CHECK(stream.peek(100, true) == Status::end);
  CHECK(stream.seen() == "abcdefgh");
  CHECK(drain(stream, 3).bytes == "abcdefgh");
  CHECK(stream.seen() == "");
}

TEST_CASE("FdStream reads pipes as they fill, and says why it cannot read") {
  int fds[2];
  REQUIRE(pipe(fds) == 0);
  PollWaiter waiter;
  std::atomic<std::uint64_t> total = 0;
  FdStream stream(fds[0], true, waiter, total);
  std::vector<char> buffer(100);
  std::size_t size = 0;
  CHECK(stream.read(buffer, size, false) == Status::idle);
  REQUIRE(write(fds[1], "abc", 3) == 3);
  CHECK(stream.read(buffer, size, false) == Status::data);
  CHECK(size == 3);
  CHECK(stream.read(buffer, size, false) == Status::idle);
  close(fds[1]);
  CHECK(stream.read(buffer, size, true) == Status::end);
  CHECK(total == 3);
  CHECK(stream.bytes_read() == 3);

  FdStream folder(open("/", O_RDONLY | O_DIRECTORY), true, waiter, total);
  CHECK_THROWS_AS(folder.read(buffer, size, true), InputFailure);
}

}  // namespace reviewrate
