// SHA-256, by OpenSSL.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace reviewrate {

/// The checksum of bytes that come piece by piece.
class Sha256 {
 public:
  /// Throws Error(environment) where libcrypto refuses.
  Sha256();

  void add(std::string_view bytes);

  /// The checksum. Nothing may be added any more.
  std::array<unsigned char, 32> digest();

  /// The same as 64 lower-case hex digits.
  std::string hex();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace reviewrate
