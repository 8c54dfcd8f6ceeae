// Beast's parser has refused already what contradicts itself; this is what it lets through.
#include "request_head.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/verb.hpp>

#include "message.h"

namespace reviewrate::server {

namespace http = boost::beast::http;

void check_framing(const RequestHead& head) {
  if (head.version() != 10 && head.version() != 11) throw HttpError(505, "only HTTP/1.0 and 1.1 are spoken");
  if (head.version() == 11 && head.count(http::field::host) != 1) {
    throw HttpError(400, "HTTP/1.1 needs one Host header");
  }
  const auto length = head[http::field::content_length];
  if (std::any_of(length.begin(), length.end(), [](char c) { return c < '0' || c > '9'; })) {
    throw HttpError(400, "Content-Length must be one number");
  }
  const std::size_t codings = head.count(http::field::transfer_encoding);
  if (codings > 0) {
    if (codings > 1 || head.version() == 10 || head.count(http::field::content_length) > 0) {
      throw HttpError(400, "Transfer-Encoding cannot be understood beside what else the head says");
    }
    if (!boost::beast::iequals(head[http::field::transfer_encoding], "chunked")) {
      throw HttpError(501, "Transfer-Encoding: only chunked is known");
    }
  }
  const auto encodings = head.equal_range(http::field::content_encoding);
  if (std::any_of(encodings.first, encodings.second,
                  [](const auto& field) { return !boost::beast::iequals(field.value(), "identity"); })) {
    throw HttpError(415, "Content-Encoding: only bodies without one are read");
  }
  if (const auto expect = head[http::field::expect];
      !expect.empty() && !boost::beast::iequals(expect, "100-continue")) {
    throw HttpError(417, "Expect: only 100-continue is known");
  }
}

Target read_target(const RequestHead& head) {
  std::string target(head.target());
  if (head.method() == http::verb::options && target == "*") target = "/";
  if (const std::size_t scheme = target.find("://"); !target.starts_with('/') && scheme != target.npos) {
    target.erase(0, std::min(target.find('/', scheme + 3), target.size()));
    if (target.empty()) target = "/";
  }
  const std::size_t mark = std::min(target.find('?'), target.size());
  return {target.substr(0, mark), target.substr(std::min(mark + 1, target.size()))};
}

}  // namespace reviewrate::server
