// Fuzz target: repair() and the code points against a decoder of another make.
#include "fuzz.h"
#include "reviewrate/utf8.h"

using namespace reviewrate;
using namespace reviewrate::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(as_text(data, size));
  std::string expected;
  std::size_t invalid_bytes = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const Sequence sequence = sequence_at(rest);
    const DecodedChar decoded = decode_code_point(rest);
    check(decoded.length == sequence.length && decoded.valid == sequence.valid, "both decoders see the same sequence");
    const std::string_view bytes = sequence.valid ? rest.substr(0, sequence.length) : "\xEF\xBF\xBD";
    std::string encoded;
    append_code_point(encoded, decoded.code_point);
    check(encoded == bytes, "a code point is encoded as it was");
    expected += bytes;
    if (!sequence.valid) invalid_bytes += sequence.length;
    rest.remove_prefix(sequence.length);
  }

  std::string repaired = text;
  check(repair(repaired) == invalid_bytes, "repair() counts the invalid bytes");
  check(repaired == expected && is_utf8(repaired), "repair() gives the expected UTF-8");
  check(repair(repaired) == 0 && repaired == expected, "repaired text needs no repair");
  return 0;
}
