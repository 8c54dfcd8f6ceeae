// Which form a file is stored in; gzip through zlib (libarchive does not check its CRC), zstd through libzstd
// (libarchive does not know skippable frames at the front), xz and bzip2 through libarchive.
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <new>

#include "damage.h"
#include "reviewrate/storage.h"

namespace reviewrate {
namespace {

using Status = ByteStream::Status;

constexpr std::uint64_t kExpansionAllowed = std::uint64_t{64} << 20;
constexpr std::uint64_t kExpansionRatio = 200;

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

// Frames one behind the other, skippable ones among them: so do pzstd and the seekable format write.
class ZstdStream final : public ByteStream {
 public:
  ZstdStream(std::unique_ptr<ByteStream> inner, ExpansionLimit limit)
      : inner_(std::move(inner)), limit_(limit), input_(kCompressedBlock), zstd_(ZSTD_createDCtx()) {
    if (zstd_ == nullptr) throw std::bad_alloc();
  }
  ~ZstdStream() override { ZSTD_freeDCtx(zstd_); }
  ZstdStream(const ZstdStream&) = delete;
  ZstdStream& operator=(const ZstdStream&) = delete;

  Status read(std::span<char> buffer, std::size_t& size, bool may_block) override {
    size = 0;
    for (;;) {
      if (at_ == end_ && !more_inside_) {
        at_ = end_ = 0;
        const Status status = inner_->read(input_, end_, may_block);
        if (status == Status::end && !between_frames_) throw_damaged("the zstd stream ends too early");
        if (status != Status::data) return status;
      }
      // Never more than what zstd asks for, so that a block before a damaged one is given out.
      ZSTD_inBuffer in{input_.data() + at_, std::min(end_ - at_, wanted_), 0};
      ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
      const std::size_t next = ZSTD_decompressStream(zstd_, &out, &in);
      if (ZSTD_isError(next) != 0U) throw_damaged(ZSTD_getErrorName(next));
      at_ += in.pos;
      between_frames_ = next == 0;
      wanted_ = between_frames_ ? kFrameStart : next;
      more_inside_ = out.pos == out.size && !between_frames_;
      size = out.pos;
      if (size > 0) {
        limit_.add(size);
        return Status::data;
      }
    }
  }

 private:
  static constexpr std::size_t kFrameStart = 5;  // magic and descriptor

  std::unique_ptr<ByteStream> inner_;
  ExpansionLimit limit_;
  std::vector<char> input_;
  ZSTD_DCtx* zstd_;
  std::size_t at_ = 0;                // what of input_ is not yet decoded: from here
  std::size_t end_ = 0;               // to here
  std::size_t wanted_ = kFrameStart;  // bytes that zstd would have next
  bool between_frames_ = false;
  bool more_inside_ = false;  // the last call filled its buffer, so zstd has more to say
};

// The single member of what libarchive calls a raw archive.
class CompressedStream final : public ByteStream {
 public:
  CompressedStream(std::unique_ptr<ByteStream> inner, StorageForm form, ExpansionLimit limit)
      : archive_(std::move(inner), form, limit) {}

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

void ExpansionLimit::add(std::size_t size) {
  expanded_ += size;
  if (expanded_ > kExpansionAllowed && expanded_ / kExpansionRatio > *stored_) {
    throw InputFailure("bomb", "not read any further: it expands to more than " + std::to_string(kExpansionRatio) +
                                   " times its stored size");
  }
}

StorageForm storage_form_of(std::string_view beginning) {
  using namespace std::string_view_literals;
  static constexpr std::array<std::pair<std::string_view, StorageForm>, 7> kMagic = {{
      {"\x1f\x8b\x08"sv, StorageForm::gzip},
      {"\x28\xb5\x2f\xfd"sv, StorageForm::zstd},
      {"\xfd\x37\x7a\x58\x5a\x00"sv, StorageForm::xz},
      {"BZh9\x31\x41\x59\x26\x53\x59"sv, StorageForm::bzip2},
      {"BZh9\x17\x72\x45\x38\x50\x90"sv, StorageForm::bzip2},  // of nothing
      {"PK\x03\x04"sv, StorageForm::zip},
      {"PK\x05\x06"sv, StorageForm::zip},  // of nothing
  }};
  std::string start(beginning.substr(0, 10));
  // A skippable frame of zstd has one of sixteen numbers for its first byte.
  static constexpr std::string_view kSkippable = "\x50\x2a\x4d\x18";
  std::string frame = start.substr(0, kSkippable.size());
  if (!frame.empty() && (frame[0] & 0xF0) == 0x50) frame[0] = kSkippable[0];
  if (frame == kSkippable) return StorageForm::zstd;
  if (start.size() > 3 && start[3] >= '1' && start[3] <= '8' && start.starts_with("BZh")) start[3] = '9';
  for (const auto& [magic, form] : kMagic) {
    if (start.starts_with(magic)) return form;
    if (magic.starts_with(start)) return StorageForm::undecided;
  }
  if (kSkippable.starts_with(frame)) return StorageForm::undecided;
  return beginning.size() >= kTarMagicEnd && beginning.substr(257, 5) == "ustar" ? StorageForm::tar
                                                                                 : StorageForm::plain;
}

std::unique_ptr<ByteStream> open_compressed(std::unique_ptr<ByteStream> inner, StorageForm form, ExpansionLimit limit) {
  if (form == StorageForm::gzip) return std::make_unique<GzipStream>(std::move(inner), limit);
  if (form == StorageForm::zstd) return std::make_unique<ZstdStream>(std::move(inner), limit);
  return std::make_unique<CompressedStream>(std::move(inner), form, limit);
}

}  // namespace reviewrate
