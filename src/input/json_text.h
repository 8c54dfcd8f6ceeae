// Numbers and strings of JSON, as RFC 8259 has them.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "reviewrate/utf8.h"

namespace reviewrate {

/// How many bytes at the front of `text` are neither a quote, nor a back slash, nor a control character.
inline std::size_t plain_length(std::string_view text) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  // The high bit of each byte of `bytes` that is less than `bound`, which is at most 0x80.
  const auto less = [](std::uint64_t bytes, std::uint64_t bound) {
    return (bytes - kOnes * bound) & ~bytes & kHighBits;
  };
  std::size_t at = 0;
  if constexpr (std::endian::native == std::endian::little) {
    for (; at + sizeof(std::uint64_t) <= text.size(); at += sizeof(std::uint64_t)) {
      std::uint64_t eight_bytes = 0;
      std::memcpy(&eight_bytes, text.data() + at, sizeof eight_bytes);
      // The lowest byte that is found is right; borrows spoil only those above it.
      const std::uint64_t found =
          less(eight_bytes, 0x20) | less(eight_bytes ^ kOnes * '"', 1) | less(eight_bytes ^ kOnes * '\\', 1);
      if (found != 0) return at + static_cast<std::size_t>(std::countr_zero(found)) / 8;
    }
  }
  const auto is_plain = [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\'; };
  while (at < text.size() && is_plain(text[at])) ++at;
  return at;
}

inline bool is_json_digit(char c) { return c >= '0' && c <= '9'; }

inline bool is_number(std::string_view token) {
  const auto take_digits = [&] {
    const auto end = std::find_if_not(token.begin(), token.end(), is_json_digit);
    const auto count = static_cast<std::size_t>(end - token.begin());
    token.remove_prefix(count);
    return count;
  };
  if (token.starts_with('-')) token.remove_prefix(1);
  const bool zero = token.starts_with('0');
  const std::size_t whole = take_digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  if (token.starts_with('.')) {
    token.remove_prefix(1);
    if (take_digits() == 0) return false;
  }
  if (token.starts_with('e') || token.starts_with('E')) {
    token.remove_prefix(1);
    if (token.starts_with('-') || token.starts_with('+')) token.remove_prefix(1);
    if (take_digits() == 0) return false;
  }
  return token.empty();
}

/// One string, decoded as its parts come in; nothing is done for one that nobody wants to keep.
class JsonString {
 public:
  void begin(bool keep) {
    keep_ = keep;
    text_.clear();
    repaired_ = 0;
    unit_ = surrogate_ = 0;
    digits_ = 0;
  }

  bool kept() const { return keep_; }

  /// Takes bytes that stand for themselves.
  void append(std::string_view plain) {
    if (!keep_ || plain.empty()) return;
    end_surrogate();
    text_ += plain;
  }

  /// Takes what follows a back slash; false if there is no such escape. \u is told digit by digit instead.
  bool append_escape(char c) {
    const std::size_t found = std::string_view("\"\\/bfnrt").find(c);
    if (found == std::string_view::npos) return false;
    append({&"\"\\/\b\f\n\r\t"[found], 1});
    return true;
  }

  bool append_hex(char c) {
    const std::size_t worth = std::string_view("0123456789abcdef0123456789ABCDEF").find(c);
    if (worth == std::string_view::npos) return false;
    unit_ = unit_ * 16 + static_cast<char32_t>(worth % 16);
    if (++digits_ == 4) {
      if (keep_) append_unit();
      digits_ = 0;
      unit_ = 0;
    }
    return true;
  }

  /// Makes text() valid UTF-8; returns how many bytes of it, and halves of surrogate pairs, were not.
  std::size_t end() {
    if (!keep_) return 0;
    end_surrogate();
    return repaired_ + repair(text_);
  }

  std::string& text() { return text_; }

 private:
  // Takes a unit of UTF-16. Surrogates that are no pair are legal in JSON but are no characters.
  void append_unit() {
    if (surrogate_ != 0 && unit_ >= 0xDC00 && unit_ <= 0xDFFF) {
      append_code_point(text_, 0x10000 + ((surrogate_ - 0xD800) << 10) + (unit_ - 0xDC00));
      surrogate_ = 0;
      return;
    }
    end_surrogate();
    if (unit_ >= 0xD800 && unit_ <= 0xDFFF) {
      surrogate_ = unit_;
      if (unit_ >= 0xDC00) end_surrogate();
    } else {
      append_code_point(text_, unit_);
    }
  }

  void end_surrogate() {
    if (surrogate_ == 0) return;
    append_code_point(text_, kReplacementCharacter);
    ++repaired_;
    surrogate_ = 0;
  }

  std::string text_;
  bool keep_ = false;
  std::size_t repaired_ = 0;
  char32_t unit_ = 0;
  std::size_t digits_ = 0;
  char32_t surrogate_ = 0;  // the first half of a pair
};

}  // namespace reviewrate
