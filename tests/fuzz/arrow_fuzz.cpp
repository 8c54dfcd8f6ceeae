// Fuzz target: Parquet, and Arrow as a file and as a stream. The first byte chooses format and options, the second the
// piece size. Arrow's own libraries are not built for fuzzing, but their memory is watched.
#include <array>

#include "records.h"

using namespace reviewrate;
using namespace reviewrate::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes = as_text(data, size);
  const unsigned choice = take_byte(bytes);
  const unsigned piece_size = 1 + 16 * take_byte(bytes);
  constexpr std::array kFormats = {InputFormat::parquet, InputFormat::arrow_file, InputFormat::arrow};
  const InputFormat format = kFormats[choice % kFormats.size()];
  InputOptions options;
  options.max_review_bytes = 100;
  if ((choice & 4) != 0) options.pass = {"*"};
  if ((choice & 8) != 0) options.where = {Condition("number>1")};
  if ((choice & 16) != 0) options.text_field = "nested.text,text";
  const Reading whole = read_records(format, options, bytes, 0);
  const Reading pieces = read_records(format, options, bytes, piece_size);
  check(same(whole, pieces), "records do not depend on how their bytes arrive");
  return 0;
}
