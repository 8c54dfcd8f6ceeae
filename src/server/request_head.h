// What a request's head must be like before anything is done for it.
#pragma once

#include <boost/beast/http/message.hpp>
#include <string>

namespace reviewrate::server {

using RequestHead = boost::beast::http::request_header<>;

/// Throws HttpError where it is not beyond doubt where the request ends, whatever stands before this server: what one
/// of them takes for a body the other would take for a request (request smuggling; RFC 9112, section 6).
void check_framing(const RequestHead& head);

/// What a request is for.
struct Target {
  std::string path;
  std::string query;  ///< behind the question mark
};

/// The target of `head`, which may be written as to a proxy: http://host/path.
Target read_target(const RequestHead& head);

}  // namespace reviewrate::server
