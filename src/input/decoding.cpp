// iconv, fed block by block.
#include "decoding.h"

#include <iconv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "reviewrate/text.h"

namespace reviewrate {
namespace {

using Status = ByteStream::Status;

const auto kNoIconv = reinterpret_cast<iconv_t>(-1);
constexpr auto kFailed = static_cast<std::size_t>(-1);
constexpr char kInvalid = '\xFF';

// The bytes that are passed over where they make no character.
std::size_t unit_of(const std::string& encoding) {
  const std::string lower = ascii_lower(encoding);
  for (const std::string_view four : {"utf-32", "utf32", "ucs-4", "ucs4"}) {
    if (lower.starts_with(four)) return 4;
  }
  for (const std::string_view two : {"utf-16", "utf16", "ucs-2", "ucs2", "unicode"}) {
    if (lower.starts_with(two)) return 2;
  }
  return 1;
}

class DecodedStream final : public ByteStream {
 public:
  DecodedStream(std::unique_ptr<ByteStream> inner, const std::string& encoding)
      : inner_(std::move(inner)), iconv_(iconv_open("UTF-8", encoding.c_str())), unit_(unit_of(encoding)) {
    if (iconv_ == kNoIconv) throw InputFailure("format", "cannot be decoded from " + encoding);
  }
  ~DecodedStream() override { iconv_close(iconv_); }
  DecodedStream(const DecodedStream&) = delete;
  DecodedStream& operator=(const DecodedStream&) = delete;

  Status read(std::span<char> buffer, std::size_t& size, bool may_block) override {
    size = 0;
    while (out_.size() == given_) {
      out_.clear();
      given_ = 0;
      if (ended_) return Status::end;
      // What is left of the last block is an unfinished character.
      std::size_t got = 0;
      const Status status = inner_->read(std::span(in_).subspan(held_), got, may_block);
      if (status == Status::idle || status == Status::interrupted) return status;
      held_ += got;
      ended_ = status == Status::end;
      decode();
    }
    size = std::string_view(out_).substr(given_).copy(buffer.data(), buffer.size());
    given_ += size;
    return Status::data;
  }

 private:
  // From in_ to out_.
  void decode() {
    char* in = in_.data();
    std::size_t left = held_;
    while (left > 0) {
      const std::size_t result = convert(&in, &left);
      if (result != kFailed || errno == E2BIG) continue;
      if (errno == EINVAL && !ended_) break;
      out_ += kInvalid;
      const std::size_t wrong = std::min(left, errno == EINVAL ? left : unit_);
      in += wrong;
      left -= wrong;
    }
    std::memmove(in_.data(), in, left);
    held_ = left;
    if (ended_) convert(nullptr, nullptr);
  }

  std::size_t convert(char** in, std::size_t* left) {
    std::array<char, 16 * 1024> block{};
    char* out = block.data();
    std::size_t room = block.size();
    const std::size_t result = iconv(iconv_, in, left, &out, &room);
    const int error = errno;
    out_.append(block.data(), block.size() - room);
    errno = error;
    return result;
  }

  std::unique_ptr<ByteStream> inner_;
  iconv_t iconv_;
  std::size_t unit_;
  std::vector<char> in_ = std::vector<char>(32 * 1024);
  std::size_t held_ = 0;  // bytes of in_
  std::string out_;
  std::size_t given_ = 0;  // of out_
  bool ended_ = false;     // inner_ has no more
};

}  // namespace

bool is_encoding(const std::string& encoding) {
  // The empty name is the locale's encoding, and what follows a slash asks iconv for guesses.
  if (encoding.empty() || encoding.find('/') != std::string::npos) return false;
  const iconv_t handle = iconv_open("UTF-8", encoding.c_str());
  if (handle == kNoIconv) return false;
  iconv_close(handle);
  return true;
}

std::unique_ptr<ByteStream> open_decoded(std::unique_ptr<ByteStream> inner, const std::string& encoding) {
  return std::make_unique<DecodedStream>(std::move(inner), encoding);
}

}  // namespace reviewrate
