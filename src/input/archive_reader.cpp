// Archives, and xz and bzip2, through libarchive.
#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <new>
#include <utility>

#include "damage.h"
#include "reviewrate/storage.h"

namespace reviewrate {
namespace {

using Status = ByteStream::Status;

constexpr std::size_t kTarBlock = 512;

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

bool is_compression(StorageForm form) { return form != StorageForm::tar && form != StorageForm::zip; }

class MemberStream final : public ByteStream {
 public:
  explicit MemberStream(ArchiveReader& archive) : archive_(archive) {}
  Status read(std::span<char> buffer, std::size_t& size, bool may_block) override {
    return archive_.read(buffer, size, may_block);
  }

 private:
  ArchiveReader& archive_;
};

}  // namespace

std::unique_ptr<ByteStream> open_member(ArchiveReader& archive) { return std::make_unique<MemberStream>(archive); }

ArchiveReader::ArchiveReader(std::unique_ptr<ByteStream> inner, StorageForm form, ExpansionLimit limit, FdStream* file)
    : inner_(std::move(inner)),
      form_(form),
      limit_(limit),
      handle_(archive_read_new()),
      held_(kCompressedBlock),
      ahead_(kCompressedBlock) {
  if (handle_ == nullptr) throw std::bad_alloc();
  // One form each: libarchive's own guessing would wait for more bytes, and might start an external program.
  if (form == StorageForm::tar) {
    archive_read_support_format_tar(handle_);
    // Else a second archive appended to the first would be passed over in silence.
    archive_read_set_options(handle_, "tar:read_concatenated_archives");
    return;
  }
  if (form == StorageForm::zip && file == nullptr) {
    archive_read_support_format_zip_streamable(handle_);
    return;
  }
  if (form == StorageForm::zip) {
    archive_read_support_format_zip(handle_);  // by the directory, or without one where it is missing
    archive_read_set_seek_callback(handle_, &ArchiveReader::seek);
    seekable_ = file;
    seekable_->seek(0);
    return;
  }
  if (form == StorageForm::xz) archive_read_support_filter_xz(handle_);
  if (form == StorageForm::bzip2) archive_read_support_filter_bzip2(handle_);
  archive_read_support_format_raw(handle_);
  archive_read_support_format_empty(handle_);
}

ArchiveReader::~ArchiveReader() { archive_read_free(handle_); }

// Reads the block that libarchive will get next.
Status ArchiveReader::fetch(bool may_block) {
  if (ahead_failure_) std::rethrow_exception(std::exchange(ahead_failure_, nullptr));
  if (ahead_size_ > 0) return Status::data;
  if (inner_ended_) return Status::end;
  ByteStream& stream = seekable_ != nullptr ? *seekable_ : *inner_;
  const Status status = stream.read(ahead_, ahead_size_, may_block);
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

// libarchive's seek callback, on the same terms.
std::int64_t ArchiveReader::seek(archive* handle, void* self_pointer, std::int64_t offset, int whence) {
  auto& self = *static_cast<ArchiveReader*>(self_pointer);
  const auto size = static_cast<std::int64_t>(self.seekable_->size());
  const std::int64_t position = std::clamp<std::int64_t>(whence == SEEK_END ? size + offset : offset, 0, size);
  self.ahead_size_ = 0;
  self.inner_ended_ = false;
  try {
    self.seekable_->seek(static_cast<std::uint64_t>(position));
    return position;
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
  if (is_compression(form_)) {
    const bool rest =
        pulled_ > static_cast<std::uint64_t>(std::max<std::int64_t>(archive_filter_bytes(handle_, -1), 0));
    if (rest || ahead_size_ > 0) throw_damaged("other data follows the compressed stream");
  }
  for (;;) {
    ahead_size_ = 0;
    const Status status = fetch(may_block);
    if (status == Status::end) break;
    if (status != Status::data) return status;
    if (is_compression(form_)) throw_damaged("other data follows the compressed stream");
  }
  if (form_ == StorageForm::tar && zeros_ < kTarBlock) {
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
      if (is_compression(form_) && archive_filter_code(handle_, 0) == ARCHIVE_FILTER_NONE) {
        broken_ = true;
        throw_damaged("the compressed stream is broken at its very beginning");
      }
      const char* path = archive_entry_pathname_utf8(entry);
      if (path == nullptr) path = archive_entry_pathname(entry);
      member.path = path == nullptr ? "(a name that cannot be read)" : path;
      // Some programs on Windows write back slashes into zip archives, against the format's rules.
      const bool windows = form_ == StorageForm::zip && member.path.find('/') == std::string::npos;
      if (windows) std::replace(member.path.begin(), member.path.end(), '\\', '/');
      while (member.path.starts_with("./")) member.path.erase(0, 2);
      member.link = archive_entry_hardlink(entry) != nullptr || archive_entry_filetype(entry) == AE_IFLNK;
      member.regular = archive_entry_filetype(entry) == AE_IFREG && !member.link && !member.path.ends_with('/');
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
    if (form_ != StorageForm::tar) {  // a tar expands nothing
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
