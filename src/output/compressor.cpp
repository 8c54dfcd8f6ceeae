// gzip through zlib, Zstandard through libzstd, at their usual levels.
#include "compressor.h"

#include <zlib.h>
#include <zstd.h>

#include <array>
#include <new>

#include "reviewrate/error.h"

namespace reviewrate {
namespace {

constexpr std::size_t kBlock = 1 << 16;

class GzipCompressor final : public Compressor {
 public:
  GzipCompressor() {
    constexpr int kGzip = 15 + 16;  // the largest window, in gzip's format
    constexpr int kMemory = 8;
    if (deflateInit2(&zlib_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, kMemory, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  ~GzipCompressor() override { deflateEnd(&zlib_); }
  GzipCompressor(const GzipCompressor&) = delete;
  GzipCompressor& operator=(const GzipCompressor&) = delete;

  void add(const std::string& bytes, std::string& out) override { run(bytes, Z_NO_FLUSH, out); }
  void finish(std::string& out) override { run("", Z_FINISH, out); }

 private:
  void run(const std::string& bytes, int flush, std::string& out) {
    zlib_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));  // zlib does not write there
    zlib_.avail_in = static_cast<uInt>(bytes.size());
    do {
      zlib_.next_out = reinterpret_cast<Bytef*>(block_.data());
      zlib_.avail_out = static_cast<uInt>(block_.size());
      deflate(&zlib_, flush);
      out.append(block_.data(), block_.size() - zlib_.avail_out);
    } while (zlib_.avail_out == 0);
  }

  z_stream zlib_{};
  std::array<char, kBlock> block_{};
};

class ZstdCompressor final : public Compressor {
 public:
  ZstdCompressor() : zstd_(ZSTD_createCCtx(), &ZSTD_freeCCtx) {
    if (!zstd_) throw std::bad_alloc();
    ZSTD_CCtx_setParameter(zstd_.get(), ZSTD_c_checksumFlag, 1);
  }

  void add(const std::string& bytes, std::string& out) override { run(bytes, ZSTD_e_continue, out); }
  void finish(std::string& out) override { run("", ZSTD_e_end, out); }

 private:
  void run(const std::string& bytes, ZSTD_EndDirective directive, std::string& out) {
    ZSTD_inBuffer input = {bytes.data(), bytes.size(), 0};
    std::size_t left = 0;
    do {
      ZSTD_outBuffer output = {block_.data(), block_.size(), 0};
      left = ZSTD_compressStream2(zstd_.get(), &output, &input, directive);
      if (ZSTD_isError(left) != 0) {
        throw Error(ErrorKind::environment, std::string("zstd: ") + ZSTD_getErrorName(left));
      }
      out.append(block_.data(), output.pos);
    } while (input.pos < input.size || (directive == ZSTD_e_end && left > 0));
  }

  std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> zstd_;
  std::array<char, kBlock> block_{};
};

}  // namespace

std::unique_ptr<Compressor> make_compressor(Compression compression) {
  switch (compression) {
    case Compression::gzip:
      return std::make_unique<GzipCompressor>();
    case Compression::zstd:
      return std::make_unique<ZstdCompressor>();
    case Compression::none:
      break;
  }
  return nullptr;
}

}  // namespace reviewrate
