// Small parts of HTTP: forms, media types, errors.
#include "message.h"

#include <nlohmann/json.hpp>

#include "reviewrate/text.h"

namespace reviewrate::server {
namespace {

/// As Text Embeddings Inference calls them where it has a word.
const char* error_type(unsigned status) {
  switch (status) {
    case 401:
      return "Unauthorized";
    case 404:
      return "NotFound";
    case 405:
      return "MethodNotAllowed";
    case 408:
      return "Timeout";
    case 422:
      return "Tokenizer";
    case 429:
      return "Overloaded";
    case 503:
      return "Unhealthy";
    default:
      return status < 500 ? "Validation" : "Backend";
  }
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// A plus is a blank, %XX a byte; a percent sign with anything else behind it stays as it is, as browsers read it.
std::string form_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low >= 0) {
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

/// Calls `visit` with each name and value, both still encoded.
template <typename Visit>
void for_each_value(std::string_view form, Visit visit) {
  while (!form.empty()) {
    const std::string_view pair = form.substr(0, form.find('&'));
    form.remove_prefix(std::min(pair.size() + 1, form.size()));
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    visit(pair.substr(0, equals), equals == pair.npos ? std::string_view() : pair.substr(equals + 1));
  }
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(" \t") + 1);
}

}  // namespace

Reply error_reply(const HttpError& error) {
  const nlohmann::ordered_json body = {{"error", error.what()}, {"error_type", error_type(error.status())}};
  return {error.status(), "application/json",
          body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n'};
}

std::string media_type(std::string_view content_type) {
  const std::string_view type = trimmed(content_type.substr(0, content_type.find(';')));
  while (true) {
    content_type.remove_prefix(std::min(content_type.find(';'), content_type.size()));
    if (content_type.empty()) return ascii_lower(std::string(type));
    content_type.remove_prefix(1);
    std::string parameter = ascii_lower(std::string(trimmed(content_type.substr(0, content_type.find(';')))));
    std::erase(parameter, '"');
    if (parameter.starts_with("charset=") && parameter != "charset=utf-8" && parameter != "charset=us-ascii") {
      throw HttpError(415, "Content-Type: texts must be in UTF-8");
    }
  }
}

std::optional<std::string> form_value(std::string_view form, std::string_view name) {
  std::optional<std::string> found;
  for_each_value(form, [&](std::string_view key, std::string_view value) {
    if (form_decoded(key) != name) return;
    if (found) throw HttpError(400, '"' + std::string(name) + "\" comes twice, and which is meant is not told");
    found = form_decoded(value);
  });
  return found;
}

std::vector<std::string> form_names(std::string_view form) {
  std::vector<std::string> names;
  for_each_value(form, [&](std::string_view key, std::string_view) { names.push_back(form_decoded(key)); });
  return names;
}

}  // namespace reviewrate::server
