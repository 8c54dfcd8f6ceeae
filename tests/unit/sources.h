// Sources as the program opens them, over files and pipes of the tests' own.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "catch.h"
#include "reviewrate/input.h"

namespace reviewrate {

namespace fs = std::filesystem;

/// A folder of its own for each test.
class Scratch {
 public:
  Scratch() {
    std::string path = (fs::temp_directory_path() / "input_test_XXXXXX").string();
    REQUIRE(mkdtemp(path.data()) != nullptr);
    path_ = path;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::string operator()(const std::string& name) const { return (path_ / name).string(); }

  std::string write(const std::string& name, const std::string& bytes) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return (*this)(name);
  }

 private:
  fs::path path_;
};

class PollWaiter final : public Waiter {
 public:
  Event wait(int fd, bool may_block) override {
    if (interrupt) return Event::interrupted;
    pollfd poll_fd{fd, POLLIN, 0};
    return poll(&poll_fd, 1, may_block ? 10000 : 0) > 0 ? Event::ready : Event::idle;
  }
  bool interrupt = false;
};

// Puts bytes, or a descriptor, in the place of stdin.
class Stdin {
 public:
  explicit Stdin(int fd) : saved_(dup(0)) { dup2(fd, 0); }
  ~Stdin() {
    dup2(saved_, 0);
    close(saved_);
  }
  Stdin(const Stdin&) = delete;
  Stdin& operator=(const Stdin&) = delete;

 private:
  int saved_;
};

inline std::string gzip(const std::string& text) {
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

struct Item {
  std::string name;
  std::string text;
  bool link = false;
};

inline std::string make_archive(bool zip, const std::vector<Item>& items) {
  archive* writer = archive_write_new();
  zip ? archive_write_set_format_zip(writer) : archive_write_set_format_pax_restricted(writer);
  std::string out(1 << 20, '\0');
  std::size_t used = 0;
  REQUIRE(archive_write_open_memory(writer, out.data(), out.size(), &used) == ARCHIVE_OK);
  for (const Item& item : items) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, item.name.c_str());
    archive_entry_set_filetype(entry, item.name.ends_with('/') ? AE_IFDIR : item.link ? AE_IFLNK : AE_IFREG);
    if (item.link) archive_entry_set_symlink(entry, item.text.c_str());
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, item.link ? 0 : static_cast<la_int64_t>(item.text.size()));
    REQUIRE(archive_write_header(writer, entry) >= ARCHIVE_WARN);  // a name may be in no known encoding
    if (!item.link) archive_write_data(writer, item.text.data(), item.text.size());
    archive_entry_free(entry);
  }
  REQUIRE(archive_write_close(writer) == ARCHIVE_OK);
  archive_write_free(writer);
  out.resize(used);
  return out;
}

using Shown = std::vector<std::string>;

inline std::string brief(const Review& review) {
  return review.id.text + "|" + (review.failure ? "!" + review.failure->kind : review.text);
}

inline Shown all(const std::vector<std::string>& files, const InputOptions& options = {},
                 std::vector<std::string> texts = {}, Shown* messages = nullptr, InputFindings* findings = nullptr) {
  PollWaiter waiter;
  const auto source = open_source(std::move(texts), files, options, waiter);
  Shown shown;
  Review review;
  while (source->next(review, true) == Source::Status::review) {
    shown.push_back(brief(review));
    if (messages != nullptr && review.failure) messages->push_back(review.failure->message);
  }
  if (findings != nullptr) *findings = source->findings();
  return shown;
}

// The same of bytes that come through a pipe, by the name "-".
inline Shown piped(const std::string& bytes, const InputOptions& options = {}, Shown* messages = nullptr,
                   InputFindings* findings = nullptr) {
  int fds[2];
  REQUIRE(pipe(fds) == 0);
  REQUIRE(bytes.size() <= 65536);
  REQUIRE(write(fds[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  close(fds[1]);
  const Stdin replaced(fds[0]);
  close(fds[0]);
  return all({"-"}, options, {}, messages, findings);
}

// The texts, or the kinds of failures, without ids.
inline Shown texts(const Shown& shown) {
  Shown texts;
  for (const std::string& one : shown) texts.push_back(one.substr(one.rfind('|') + 1));
  return texts;
}

inline InputOptions with_format(InputFormat format) {
  InputOptions options;
  options.format = format;
  return options;
}

}  // namespace reviewrate
