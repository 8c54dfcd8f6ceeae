// Keys are compared by their digests, which have one length, and all of them each time.
#include "api_keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>

#include "reviewrate/error.h"
#include "reviewrate/file.h"
#include "reviewrate/sha256.h"
#include "reviewrate/text.h"

namespace reviewrate::server {
namespace {

std::string digest(std::string_view key) {
  Sha256 sum;
  sum.add(key);
  return sum.hex();
}

/// The password in the base64 form of "user:password"; empty where it is not of that form.
std::string password(std::string_view base64) {
  std::vector<unsigned char> bytes(base64.size());
  const int size = EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(base64.data()),
                                   static_cast<int>(base64.size()));
  if (size <= 0) return {};
  std::string text(bytes.begin(), bytes.begin() + size);
  // Each = at the end of the text stands for a byte that is none.
  for (std::size_t i = base64.size(); i > 0 && base64[i - 1] == '=' && !text.empty(); --i) text.pop_back();
  const std::size_t colon = text.find(':');
  return colon == std::string::npos ? std::string() : text.substr(colon + 1);
}

}  // namespace

ApiKeys::ApiKeys(const std::string& path) {
  constexpr std::size_t kMostBytes = std::size_t{1} << 20;
  const std::string bytes = read_file(path, kMostBytes, ErrorKind::usage);
  for (std::string_view rest = bytes; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!is_blank(line)) digests_.push_back(digest(line));
  }
  if (digests_.empty()) throw Error(ErrorKind::usage, "--api-key-file " + path + ": there is no key in it");
}

bool ApiKeys::accept(std::string_view authorization) const {
  if (!required()) return true;
  const std::size_t blank = std::min(authorization.find(' '), authorization.size());
  const std::string scheme = ascii_lower(std::string(authorization.substr(0, blank)));
  authorization.remove_prefix(blank);
  authorization.remove_prefix(std::min(authorization.find_first_not_of(' '), authorization.size()));
  if (scheme != "bearer" && scheme != "basic") return false;
  const std::string given = digest(scheme == "basic" ? password(authorization) : std::string(authorization));
  bool found = false;
  for (const std::string& each : digests_) found |= CRYPTO_memcmp(each.data(), given.data(), given.size()) == 0;
  return found;
}

}  // namespace reviewrate::server
