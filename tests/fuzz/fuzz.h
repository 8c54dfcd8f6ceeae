// What the fuzz targets share: a check that ends the program, and small helpers.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

/// Runs the code under test on one input; libFuzzer calls it, or replay.cpp.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace reviewrate::fuzz {

/// Ends the program, as a sanitizer's finding would, if `what` does not hold.
inline void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

inline std::string_view as_text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Takes a byte, which steers the target, from the front of the input; 0 at its end.
inline unsigned take_byte(std::string_view& input) {
  if (input.empty()) return 0;
  const auto byte = static_cast<unsigned char>(input.front());
  input.remove_prefix(1);
  return byte;
}

/// What bytes are, by definition D92 of The Unicode Standard and arithmetic instead of tables: the length of the valid
/// sequence at the front of `text`, which must not be empty, or else of its longest start, at least 1.
struct Sequence {
  std::size_t length;
  bool valid;
};

inline Sequence sequence_at(std::string_view text) {
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const auto lead = static_cast<unsigned char>(text.front());
  if (lead < 0x80) return {1, true};
  std::size_t whole = 0;
  if (lead >> 5 == 6) whole = 2;
  if (lead >> 4 == 14) whole = 3;
  if (lead >> 3 == 30) whole = 4;
  if (whole == 0) return {1, false};
  std::uint32_t bits = lead & (0x7FU >> whole);
  std::size_t length = 0;
  for (std::size_t taken = 1;; ++taken) {
    // With any continuation, the code point will be within low..high.
    const std::size_t missing_bits = 6 * (whole - taken);
    const std::uint32_t low = bits << missing_bits;
    const std::uint32_t high = low | ((std::uint32_t{1} << missing_bits) - 1);
    const bool surrogates = low >= 0xD800 && high <= 0xDFFF;
    if (high < kLeast[whole] || low > 0x10FFFF || surrogates) break;
    length = taken;
    if (taken == whole || taken == text.size()) break;
    const auto next = static_cast<unsigned char>(text[taken]);
    if (next >> 6 != 2) break;
    bits = bits << 6 | (next & 0x3FU);
  }
  return {length == 0 ? 1 : length, length == whole};
}

inline bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const Sequence sequence = sequence_at(text);
    if (!sequence.valid) return false;
    text.remove_prefix(sequence.length);
  }
  return true;
}

/// Whether `text` may stand in a message: valid UTF-8 on one line.
inline bool is_one_line(std::string_view text) {
  return is_utf8(text) && text.find_first_of("\r\n") == std::string_view::npos;
}

/// A folder below $TMPDIR that goes when the program ends.
class TempFolder {
 public:
  TempFolder() : path_((std::filesystem::temp_directory_path() / "reviewrate-fuzz-XXXXXX").string()) {
    check(mkdtemp(path_.data()) != nullptr, "a temporary folder can be made");
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }

  /// Writes the file `name` anew and returns its path.
  std::string write(const std::string& name, std::string_view content) const {
    const std::string file = path_ + "/" + name;
    std::filesystem::remove(file);
    std::ofstream stream(file, std::ios::binary);
    stream.write(content.data(), static_cast<std::streamsize>(content.size()));
    stream.close();
    check(stream.good(), "a temporary file can be written");
    return file;
  }

 private:
  std::string path_;
};

}  // namespace reviewrate::fuzz
