// Fuzz target: JSON, and what is told apart by lines at most. The first byte chooses the options, the second the piece
// size. What is one object on one line is compared with what nlohmann's parser says of it.
#include <nlohmann/json.hpp>
#include <optional>

#include "records.h"

using namespace reviewrate;
using namespace reviewrate::fuzz;

namespace {

// Whether nlohmann's parser takes `text`; nothing if it met a number that is too large for it.
std::optional<bool> is_json(std::string_view text) {
  struct Handler {
    using Json = nlohmann::json;
    bool null() { return true; }
    bool boolean(bool) { return true; }
    bool number_integer(Json::number_integer_t) { return true; }
    bool number_unsigned(Json::number_unsigned_t) { return true; }
    bool number_float(Json::number_float_t, const std::string&) { return true; }
    bool string(std::string&) { return true; }
    bool binary(Json::binary_t&) { return true; }
    bool start_object(std::size_t) { return true; }
    bool start_array(std::size_t) { return true; }
    bool end_object() { return true; }
    bool end_array() { return true; }
    bool key(std::string&) { return true; }
    bool parse_error(std::size_t, const std::string&, const Json::exception& error) {
      constexpr int kTooLarge = 406;
      too_large = error.id == kTooLarge;
      return false;
    }
    bool too_large = false;
  } handler;
  const bool accepted = nlohmann::json::sax_parse(text, &handler);
  return handler.too_large ? std::nullopt : std::optional(accepted);
}

void check_against_nlohmann(std::string_view line, const std::vector<Review>& reviews) {
  const std::size_t first = line.find_first_not_of(" \t\r");
  if (first == line.npos || line[first] != '{' || line[line.find_last_not_of(" \t\r")] != '}') return;
  // What is behind a NUL nlohmann's parser does not see.
  const auto is_plain = [](char c) { return static_cast<unsigned char>(c) < 0x80 && c > 1 && c != '\n'; };
  const auto has = [&](std::string_view part) { return line.find(part) != line.npos; };
  // Half surrogates and Python's NaN are read here, and values may follow each other.
  if (!std::all_of(line.begin(), line.end(), is_plain) || has("\\u") || has("NaN") || has("Infinity")) return;
  const bool one = reviews.size() == 1 && !(reviews[0].failure && reviews[0].failure->kind == "json");
  check(is_json(line).value_or(one) == one, "what is JSON is read, and nothing else");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes = as_text(data, size);
  const unsigned choice = take_byte(bytes);
  const unsigned piece_size = take_byte(bytes);
  InputOptions options;
  options.max_review_bytes = 100;
  if ((choice & 4) != 0) options.id_field = kNoField;
  if ((choice & 8) != 0) options.pass = {"*", "b"};
  if ((choice & 16) != 0) options.where = {Condition("b=x")};
  constexpr InputFormat kFormats[] = {InputFormat::jsonl, InputFormat::jsonl, InputFormat::lines, InputFormat::whole};
  const InputFormat format = kFormats[choice & 3];
  const std::vector<Review> reviews = check_records(format, options, bytes, piece_size);
  if (format == InputFormat::jsonl && options.where.empty()) check_against_nlohmann(bytes, reviews);
  json_evidence(bytes, (choice & 32) != 0, options);
  for (const Review& review : reviews) {
    for (const Field& field : review.passed) {
      check(!field.value.json || is_json(field.value.text).value_or(true), "a passed JSON value is JSON");
    }
  }
  return 0;
}
