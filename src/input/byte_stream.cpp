// Descriptors, gzip through zlib (libarchive does not check its CRC), the other forms through libarchive.
#include "reviewrate/byte_stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>

#include "reviewrate/input.h"

namespace reviewrate {
namespace {

using Status = ByteStream::Status;

constexpr std::size_t kPeekBlock = 4096;              // most files of a folder of reviews are smaller
constexpr std::size_t kCompressedBlock = 256 * 1024;  // compressed bytes read at a time
constexpr std::size_t kTarBlock = 512;
constexpr std::uint64_t kExpansionAllowed = std::uint64_t{64} << 20;
constexpr std::uint64_t kExpansionRatio = 200;

[[noreturn]] void throw_damaged(const std::string& reason) {
  throw InputFailure("damaged", "damaged, and not read any further: " + reason);
}

// libarchive turns names into the locale's character set, and where that is ASCII it makes them "caf??". While this
// lives, the thread's is UTF-8, whatever the environment says.
class Utf8Names {
 public:
  Utf8Names() : before_(utf8() == locale_t{} ? locale_t{} : uselocale(utf8())) {}
  ~Utf8Names() {
    if (before_ != locale_t{}) uselocale(before_);
  }
  Utf8Names(const Utf8Names&) = delete;
  Utf8Names& operator=(const Utf8Names&) = delete;

 private:
  static locale_t utf8() {
    static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", locale_t{});
    return locale;
  }
  locale_t before_;
};

bool is_compression(Compression compression) {
  return compression != Compression::tar && compression != Compression::zip;
}

class GzipStream final : public ByteStream {
 public:
  GzipStream(std::unique_ptr<ByteStream> inner, ExpansionLimit limit)
      : inner_(std::move(inner)), limit_(limit), input_(kCompressedBlock) {
    if (inflateInit2(&zlib_, 15 + 16) != Z_OK) throw std::bad_alloc();
  }
  ~GzipStream() override { inflateEnd(&zlib_); }
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

  Status read(std::span<char> buffer, std::size_t& size, bool may_block) override {
    size = 0;
    for (;;) {
      if (zlib_.avail_in == 0 && !more_inside_) {
        std::size_t got = 0;
        const Status status = inner_->read(input_, got, may_block);
        if (status == Status::end) {
          if (!between_members_) throw_damaged("the gzip stream ends too early");
          return status;
        }
        if (status != Status::data) return status;
        zlib_.next_in = reinterpret_cast<Bytef*>(input_.data());
        zlib_.avail_in = static_cast<uInt>(got);
      }
      if (between_members_ && !begin_member()) continue;
      const auto room = static_cast<uInt>(std::min(buffer.size(), kCompressedBlock));
      zlib_.next_out = reinterpret_cast<Bytef*>(buffer.data());
      zlib_.avail_out = room;
      const int result = inflate(&zlib_, Z_NO_FLUSH);
      size = room - zlib_.avail_out;
      const bool faulty = result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR;
      more_inside_ = zlib_.avail_out == 0 || faulty;
      if (result == Z_STREAM_END) {
        between_members_ = true;
        more_inside_ = false;
      }
      if (size > 0) {  // a fault found on the way comes up again in the next call
        limit_.add(size);
        return Status::data;
      }
      if (result == Z_MEM_ERROR) throw std::bad_alloc();
      if (faulty) throw_damaged(zlib_.msg != nullptr ? zlib_.msg : "not a gzip stream");
    }
  }

 private:
  // After a member there may be another one, or zeros up to the end (padding of tapes), and nothing else.
  bool begin_member() {
    while (zlib_.avail_in > 0 && *zlib_.next_in == 0) {
      padding_ = true;
      ++zlib_.next_in;
      --zlib_.avail_in;
    }
    if (zlib_.avail_in == 0) return false;
    if (padding_ || *zlib_.next_in != 0x1f) throw_damaged("other data follows the gzip stream");
    inflateReset(&zlib_);
    between_members_ = false;
    return true;
  }

  std::unique_ptr<ByteStream> inner_;
  ExpansionLimit limit_;
  std::vector<char> input_;
  z_stream zlib_{};
  bool between_members_ = false;
  bool padding_ = false;
  bool more_inside_ = false;  // the last call filled its buffer or met a fault, so zlib has more to say
};

class MemberStream final : public ByteStream {
 public:
  explicit MemberStream(ArchiveReader& archive) : archive_(archive) {}
  Status read(std::span<char> buffer, std::size_t& size, bool may_block) override {
    return archive_.read(buffer, size, may_block);
  }

 private:
  ArchiveReader& archive_;
};

// The single member of what libarchive calls a raw archive.
class CompressedStream final : public ByteStream {
 public:
  CompressedStream(std::unique_ptr<ByteStream> inner, Compression compression, ExpansionLimit limit)
      : archive_(std::move(inner), compression, limit) {}

  Status read(std::span<char> buffer, std::size_t& size, bool may_block) override {
    size = 0;
    ArchiveReader::Member member;
    while (true) {
      if (in_member_) {
        const Status status = archive_.read(buffer, size, may_block);
        if (status != Status::end) return status;
        in_member_ = false;
      }
      const Status status = archive_.next(member, may_block);
      if (status != Status::data) return status;
      in_member_ = true;
    }
  }

 private:
  ArchiveReader archive_;
  bool in_member_ = false;
};

}  // namespace

FdStream::FdStream(int fd, bool owned, Waiter& waiter, std::atomic<std::uint64_t>& total)
    : fd_(fd), owned_(owned), waiter_(waiter), total_(total) {}

FdStream::~FdStream() {
  if (owned_) close(fd_);
}

Status FdStream::read(std::span<char> buffer, std::size_t& size, bool may_block) {
  size = 0;
  for (;;) {
    const Waiter::Event event = waiter_.wait(fd_, may_block);
    if (event == Waiter::Event::idle) return Status::idle;
    if (event == Waiter::Event::interrupted) return Status::interrupted;
    const ssize_t got = ::read(fd_, buffer.data(), buffer.size());
    if (got > 0) {
      size = static_cast<std::size_t>(got);
      bytes_read_ += size;
      total_ += size;
      return Status::data;
    }
    if (got == 0) return Status::end;
    // EAGAIN: someone else reads from the same pipe and was faster, so wait again.
    if (errno != EINTR && errno != EAGAIN) {
      throw InputFailure("read", "cannot be read: " + std::generic_category().message(errno));
    }
  }
}

Status PeekStream::peek(std::size_t wanted, bool may_block) {
  while (seen().size() < wanted) {
    if (ended_) return Status::end;
    const std::size_t before = seen_.size();
    seen_.resize(before + kPeekBlock);
    std::size_t got = 0;
    Status status = Status::end;
    try {
      status = inner_->read(std::span(seen_).subspan(before), got, may_block);
    } catch (...) {
      seen_.resize(before);
      throw;
    }
    seen_.resize(before + got);
    ended_ = status == Status::end;
    if (status != Status::data) return status;
  }
  return Status::data;
}

Status PeekStream::read(std::span<char> buffer, std::size_t& size, bool may_block) {
  if (given_ == seen_.size()) return ended_ ? Status::end : inner_->read(buffer, size, may_block);
  size = seen().copy(buffer.data(), buffer.size());
  given_ += size;
  if (given_ == seen_.size()) {
    seen_ = std::string();
    given_ = 0;
  }
  return Status::data;
}

void ExpansionLimit::add(std::size_t size) {
  expanded_ += size;
  if (expanded_ > kExpansionAllowed && expanded_ / kExpansionRatio > *stored_) {
    throw InputFailure("bomb", "not read any further: it expands to more than " + std::to_string(kExpansionRatio) +
                                   " times its stored size");
  }
}

Compression compression_of(std::string_view beginning) {
  using namespace std::string_view_literals;
  static constexpr std::array<std::pair<std::string_view, Compression>, 7> kMagic = {{
      {"\x1f\x8b\x08"sv, Compression::gzip},
      {"\x28\xb5\x2f\xfd"sv, Compression::zstd},
      {"\xfd\x37\x7a\x58\x5a\x00"sv, Compression::xz},
      {"BZh9\x31\x41\x59\x26\x53\x59"sv, Compression::bzip2},
      {"BZh9\x17\x72\x45\x38\x50\x90"sv, Compression::bzip2},  // of nothing
      {"PK\x03\x04"sv, Compression::zip},
      {"PK\x05\x06"sv, Compression::zip},  // of nothing
  }};
  std::string start(beginning.substr(0, 10));
  if (start.size() > 3 && start[3] >= '1' && start[3] <= '8' && start.starts_with("BZh")) start[3] = '9';
  for (const auto& [magic, compression] : kMagic) {
    if (start.starts_with(magic)) return compression;
    if (magic.starts_with(start)) return Compression::undecided;
  }
  return beginning.size() >= kTarMagicEnd && beginning.substr(257, 5) == "ustar" ? Compression::tar : Compression::none;
}

std::unique_ptr<ByteStream> open_gzip(std::unique_ptr<ByteStream> inner, ExpansionLimit limit) {
  return std::make_unique<GzipStream>(std::move(inner), limit);
}

std::unique_ptr<ByteStream> open_compressed(std::unique_ptr<ByteStream> inner, Compression compression,
                                            ExpansionLimit limit) {
  return std::make_unique<CompressedStream>(std::move(inner), compression, limit);
}

std::unique_ptr<ByteStream> open_member(ArchiveReader& archive) { return std::make_unique<MemberStream>(archive); }

ArchiveReader::ArchiveReader(std::unique_ptr<ByteStream> inner, Compression compression, ExpansionLimit limit)
    : inner_(std::move(inner)),
      compression_(compression),
      limit_(limit),
      handle_(archive_read_new()),
      held_(kCompressedBlock),
      ahead_(kCompressedBlock) {
  if (handle_ == nullptr) throw std::bad_alloc();
  // One form each: libarchive's own guessing would wait for more bytes, and might start an external program.
  if (compression == Compression::tar) {
    archive_read_support_format_tar(handle_);
    // Else a second archive appended to the first would be passed over in silence.
    archive_read_set_options(handle_, "tar:read_concatenated_archives");
    return;
  }
  if (compression == Compression::zip) {
    archive_read_support_format_zip_streamable(handle_);
    return;
  }
  if (compression == Compression::zstd) archive_read_support_filter_zstd(handle_);
  if (compression == Compression::xz) archive_read_support_filter_xz(handle_);
  if (compression == Compression::bzip2) archive_read_support_filter_bzip2(handle_);
  archive_read_support_format_raw(handle_);
  archive_read_support_format_empty(handle_);
}

ArchiveReader::~ArchiveReader() { archive_read_free(handle_); }

// Reads the block that libarchive will get next.
Status ArchiveReader::fetch(bool may_block) {
  if (ahead_failure_) std::rethrow_exception(std::exchange(ahead_failure_, nullptr));
  if (ahead_size_ > 0) return Status::data;
  if (inner_ended_) return Status::end;
  const Status status = inner_->read(ahead_, ahead_size_, may_block);
  inner_ended_ = status == Status::end;
  interrupted_ = status == Status::interrupted;
  return status;
}

// Asks whether the next step can be taken without waiting. A fault counts as data: libarchive has to use up what came
// before it first.
Status ArchiveReader::look_ahead() {
  if (ahead_failure_) return Status::data;
  try {
    return fetch(false);
  } catch (const InputFailure&) {
    ahead_failure_ = std::current_exception();
    return Status::data;
  }
}

// libarchive's read callback; no exception may pass through its frames.
std::ptrdiff_t ArchiveReader::pull(archive* handle, void* self_pointer, const void** block) {
  auto& self = *static_cast<ArchiveReader*>(self_pointer);
  try {
    const Status status = self.fetch(true);
    if (status == Status::end) return 0;
    if (status == Status::data) {
      std::swap(self.held_, self.ahead_);
      const std::size_t size = std::exchange(self.ahead_size_, 0);
      const std::string_view bytes(self.held_.data(), size);
      const std::size_t last = bytes.find_last_not_of('\0');
      self.zeros_ = last == std::string_view::npos ? self.zeros_ + size : size - 1 - last;
      self.pulled_ += size;
      *block = self.held_.data();
      return static_cast<std::ptrdiff_t>(size);
    }
  } catch (...) {
    self.inner_failure_ = std::current_exception();
  }
  archive_set_error(handle, EIO, "the stream below failed");
  return ARCHIVE_FATAL;
}

// What a step's bad end means.
Status ArchiveReader::fail(int code) {
  if (interrupted_) return Status::interrupted;
  if (inner_failure_ || code == ARCHIVE_FATAL) broken_ = true;
  if (inner_failure_) std::rethrow_exception(std::exchange(inner_failure_, nullptr));
  const char* reason = archive_error_string(handle_);
  if (reason == nullptr) reason = "the archive ends too early";
  if (code == ARCHIVE_FAILED) throw InputFailure("archive", std::string("cannot be unpacked: ") + reason);
  throw_damaged(reason);
}

// Once libarchive is content, the rest is read as well: a checksum below may only come then.
Status ArchiveReader::finish(bool may_block) {
  if (is_compression(compression_)) {
    const bool rest =
        pulled_ > static_cast<std::uint64_t>(std::max<std::int64_t>(archive_filter_bytes(handle_, -1), 0));
    if (rest || ahead_size_ > 0) throw_damaged("other data follows the compressed stream");
  }
  for (;;) {
    ahead_size_ = 0;
    const Status status = fetch(may_block);
    if (status == Status::end) break;
    if (status != Status::data) return status;
    if (is_compression(compression_)) throw_damaged("other data follows the compressed stream");
  }
  if (compression_ == Compression::tar && zeros_ < kTarBlock) {
    throw_damaged("the tar archive ends without its end mark");
  }
  return Status::end;
}

Status ArchiveReader::next(Member& member, bool may_block) {
  block_ = {};
  position_ = 0;
  if (broken_) return Status::end;
  if (!finished_) {
    if (interrupted_) return Status::interrupted;
    if (!may_block) {
      const Status status = look_ahead();
      if (status == Status::idle || status == Status::interrupted) return status;
    }
    if (!opened_) {
      opened_ = true;
      const int code = archive_read_open(handle_, this, nullptr, &ArchiveReader::pull, nullptr);
      if (code != ARCHIVE_OK) return fail(ARCHIVE_FATAL);
    }
    const Utf8Names names;
    archive_entry* entry = nullptr;
    const int code = archive_read_next_header(handle_, &entry);
    if (code == ARCHIVE_OK || code == ARCHIVE_WARN) {  // the warnings are about names in other character sets
      // What is too short or too damaged for its decoder would be passed on as it is.
      if (is_compression(compression_) && archive_filter_code(handle_, 0) == ARCHIVE_FILTER_NONE) {
        broken_ = true;
        throw_damaged("the compressed stream is broken at its very beginning");
      }
      const char* path = archive_entry_pathname_utf8(entry);
      if (path == nullptr) path = archive_entry_pathname(entry);
      member.path = path == nullptr ? "(a name that cannot be read)" : path;
      while (member.path.starts_with("./")) member.path.erase(0, 2);
      member.link = archive_entry_hardlink(entry) != nullptr || archive_entry_filetype(entry) == AE_IFLNK;
      member.regular = archive_entry_filetype(entry) == AE_IFREG && !member.link;
      return Status::data;
    }
    if (code != ARCHIVE_EOF) return fail(ARCHIVE_FATAL);
    finished_ = true;
  }
  try {
    return finish(may_block);
  } catch (const InputFailure&) {
    broken_ = true;
    throw;
  }
}

Status ArchiveReader::read(std::span<char> buffer, std::size_t& size, bool may_block) {
  size = 0;
  if (interrupted_) return Status::interrupted;
  while (block_.empty()) {
    if (!may_block) {
      const Status status = look_ahead();
      if (status == Status::idle || status == Status::interrupted) return status;
    }
    const void* data = nullptr;
    std::size_t length = 0;
    std::int64_t offset = 0;
    const int code = archive_read_data_block(handle_, &data, &length, &offset);
    if (code == ARCHIVE_EOF) return Status::end;
    if (code != ARCHIVE_OK) return fail(code);
    if (length == 0) continue;
    if (offset != position_) throw InputFailure("archive", "cannot be unpacked: a sparse file");
    position_ += static_cast<std::int64_t>(length);
    if (compression_ != Compression::tar) {  // a tar expands nothing
      try {
        limit_.add(length);
      } catch (const InputFailure&) {
        broken_ = true;
        throw;
      }
    }
    block_ = {static_cast<const char*>(data), length};
  }
  size = block_.copy(buffer.data(), buffer.size());
  block_.remove_prefix(size);
  return Status::data;
}

}  // namespace reviewrate
