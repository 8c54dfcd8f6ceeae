// Fuzz target: CSV, TSV with quotes and TSV without. The first byte chooses the options, the second the piece size.
#include "records.h"

using namespace reviewrate;
using namespace reviewrate::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes = as_text(data, size);
  const unsigned choice = take_byte(bytes);
  const unsigned piece_size = take_byte(bytes);
  InputOptions options;
  options.max_review_bytes = 100;
  options.header = (choice & 1) == 0;
  options.quoting = (choice & 2) == 0;
  if (!options.header) options.text_field = "1";
  if ((choice & 4) != 0) options.id_field = kNoField;
  if ((choice & 8) != 0) options.pass = {"*", "b"};
  if ((choice & 16) != 0) options.where = {{options.header ? "b" : "2", "x"}};
  check_records((choice & 32) != 0 ? InputFormat::tsv : InputFormat::csv, options, bytes, piece_size);
  return 0;
}
