// One connection: its requests one after another, each within its limits.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>

#include "context.h"

namespace reviewrate::server {

/// A connected socket of TCP or of the file system.
using Socket = boost::asio::generic::stream_protocol::socket;

/// Serves `socket` until its end. `peer` is the client as the log names it; a `crowded` one, for which there is no more
/// room, may ask what needs no key and nothing else. `context` must outlive the io_context's last handler.
void serve_connection(Socket socket, std::string peer, bool crowded, Context& context);

}  // namespace reviewrate::server
