// UTF-8 decoding by table 3-7 of The Unicode Standard, encoding, and repair.
#include "reviewrate/utf8.h"

#include <cstdint>
#include <cstring>
#include <utility>

namespace reviewrate {

namespace {

/// Which bytes may follow a lead byte: how many, and the range of the first of them. The range rules out overlong
/// forms, surrogates and what lies beyond U+10FFFF; later bytes may be any of 80..BF.
struct Continuation {
  std::size_t count;
  unsigned char first_min;
  unsigned char first_max;
};

/// For a lead byte of 0x80 or more; count 0 means that it starts nothing.
Continuation continuation_of(unsigned char lead) {
  if (lead < 0xC2) return {0, 0, 0};
  if (lead < 0xE0) return {1, 0x80, 0xBF};
  if (lead == 0xE0) return {2, 0xA0, 0xBF};
  if (lead == 0xED) return {2, 0x80, 0x9F};
  if (lead < 0xF0) return {2, 0x80, 0xBF};
  if (lead == 0xF0) return {3, 0x90, 0xBF};
  if (lead < 0xF4) return {3, 0x80, 0xBF};
  if (lead == 0xF4) return {3, 0x80, 0x8F};
  return {0, 0, 0};
}

/// How many bytes at the front of `text` are valid.
std::size_t valid_length(std::string_view text) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint64_t eight_bytes = 0;
    while (at + sizeof eight_bytes <= text.size()) {
      std::memcpy(&eight_bytes, text.data() + at, sizeof eight_bytes);
      if ((eight_bytes & kHighBits) != 0) break;
      at += sizeof eight_bytes;
    }
    if (at == text.size()) break;
    const DecodedChar decoded = decode_code_point(text.substr(at));
    if (!decoded.valid) break;
    at += decoded.length;
  }
  return at;
}

}  // namespace

DecodedChar decode_code_point(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  if (lead < 0x80) return {lead, 1, true};

  const Continuation continuation = continuation_of(lead);
  if (continuation.count == 0) return {kReplacementCharacter, 1, false};
  // The lead byte carries 5, 4 or 3 bits of the code point.
  char32_t code_point = lead & (0x3FU >> continuation.count);
  for (std::size_t i = 1; i <= continuation.count; ++i) {
    const auto byte = i < text.size() ? static_cast<unsigned char>(text[i]) : static_cast<unsigned char>(0);
    const unsigned char min = i == 1 ? continuation.first_min : 0x80;
    const unsigned char max = i == 1 ? continuation.first_max : 0xBF;
    if (byte < min || byte > max) return {kReplacementCharacter, i, false};
    code_point = code_point << 6 | (byte & 0x3FU);
  }
  return {code_point, continuation.count + 1, true};
}

std::size_t encode_code_point(char32_t code_point, char* bytes) {
  const auto continuation = [code_point](int shift) { return static_cast<char>(0x80 | (code_point >> shift & 0x3F)); };
  if (code_point < 0x80) {
    bytes[0] = static_cast<char>(code_point);
    return 1;
  }
  if (code_point < 0x800) {
    bytes[0] = static_cast<char>(0xC0 | code_point >> 6);
    bytes[1] = continuation(0);
    return 2;
  }
  if (code_point < 0x10000) {
    bytes[0] = static_cast<char>(0xE0 | code_point >> 12);
    bytes[1] = continuation(6);
    bytes[2] = continuation(0);
    return 3;
  }
  bytes[0] = static_cast<char>(0xF0 | code_point >> 18);
  bytes[1] = continuation(12);
  bytes[2] = continuation(6);
  bytes[3] = continuation(0);
  return 4;
}

void append_code_point(std::string& text, char32_t code_point) {
  char bytes[kMaxCodePointBytes];
  text.append(bytes, encode_code_point(code_point, bytes));
}

std::string_view beginning_of(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  const auto continues = [text](std::size_t at) { return (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U; };
  while (bytes > 0 && continues(bytes)) --bytes;
  return text.substr(0, bytes);
}

std::string shortened(std::string_view text, std::size_t bytes) {
  return std::string(beginning_of(text, bytes)) + (text.size() > bytes ? "\xE2\x80\xA6" : "");
}

std::size_t repair(std::string& text) {
  std::string_view rest = text;
  std::size_t valid = valid_length(rest);
  if (valid == rest.size()) return 0;

  std::size_t invalid_bytes = 0;
  std::string repaired;
  repaired.reserve(text.size() + kMaxCodePointBytes);
  while (true) {
    repaired.append(rest.substr(0, valid));
    rest.remove_prefix(valid);
    if (rest.empty()) break;
    const std::size_t invalid = decode_code_point(rest).length;
    append_code_point(repaired, kReplacementCharacter);
    invalid_bytes += invalid;
    rest.remove_prefix(invalid);
    valid = valid_length(rest);
  }
  text = std::move(repaired);
  return invalid_bytes;
}

}  // namespace reviewrate
