// A request whose body is there, what is answered, and the words of HTTP that both are made of; no sockets.
#pragma once

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace reviewrate::server {

/// A request that has a body.
struct Request {
  std::string path;   ///< of the target, without its query
  std::string query;  ///< behind the question mark
  std::string type;   ///< as in Content-Type
  std::string body;
};

/// What is answered.
struct Reply {
  unsigned status = 200;
  std::string type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers = {};
};

/// A request that is answered with an error; what() is one line for people.
class HttpError : public std::runtime_error {
 public:
  HttpError(unsigned status, const std::string& message) : std::runtime_error(message), status_(status) {}

  unsigned status() const noexcept { return status_; }

 private:
  unsigned status_;
};

/// {"error": ..., "error_type": ...} with the status of `error`.
Reply error_reply(const HttpError& error);

/// A media type such as text/plain, in lower case, without its parameters. Throws HttpError(415) where these name
/// another charset than UTF-8.
std::string media_type(std::string_view content_type);

/// The value of `name` in what a form or a query holds (a=b&c=d, application/x-www-form-urlencoded). Throws
/// HttpError(400) where it comes twice.
std::optional<std::string> form_value(std::string_view form, std::string_view name);

/// The names of a form's or a query's values, in order.
std::vector<std::string> form_names(std::string_view form);

}  // namespace reviewrate::server
