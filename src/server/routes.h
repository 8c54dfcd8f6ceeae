// The paths there are, and what the server says of itself under them.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "context.h"
#include "message.h"

namespace reviewrate::server {

/// A path and the methods that it has.
struct Route {
  std::string_view path;
  bool get = false;  ///< HEAD as well
  bool post = false;
  bool open = false;  ///< needs no key, and is answered however many connections there are
};

/// The route of `path`; null where there is none.
const Route* find_route(std::string_view path);

/// What GET gives.
Reply get(const Route& route, const Context& context);

/// "GET, HEAD, OPTIONS" or the like.
std::string allowed_methods(const Route& route);

/// What OPTIONS gives: what a browser asks before a page of --cors-origin may send its request.
Reply preflight(const Route& route, const Context& context);

/// All headers of `reply` but those that say how its body is sent. `route` is null where there is none.
std::vector<std::pair<std::string, std::string>> reply_headers(const Reply& reply, const Route* route,
                                                               const Context& context);

/// The seconds after which the queue may have room again: what waits over what the model does in a second.
std::size_t retry_after(const Context& context);

}  // namespace reviewrate::server
