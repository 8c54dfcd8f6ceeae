// Fuzz target: JSON Lines, and what else is told apart by lines at most. The first byte chooses the options, the second
// the piece size.
#include <nlohmann/json.hpp>

#include "records.h"

using namespace reviewrate;
using namespace reviewrate::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes = as_text(data, size);
  const unsigned choice = take_byte(bytes);
  const unsigned piece_size = take_byte(bytes);
  InputOptions options;
  options.max_review_bytes = 100;
  if ((choice & 4) != 0) options.id_field = kNoField;
  if ((choice & 8) != 0) options.pass = {"*", "b"};
  if ((choice & 16) != 0) options.where = {"b=x"};
  constexpr InputFormat kFormats[] = {InputFormat::jsonl, InputFormat::jsonl, InputFormat::lines, InputFormat::whole};
  for (const Review& review : check_records(kFormats[choice & 3], options, bytes, piece_size)) {
    for (const Field& field : review.passed) {
      check(!field.value.json || nlohmann::json::accept(field.value.text), "a passed JSON value is JSON");
    }
  }
  return 0;
}
