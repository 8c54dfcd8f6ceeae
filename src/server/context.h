// What the connections of a server share, and what it can be told; all of it belongs to the one thread of the
// connections, but for the queue.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "api.h"
#include "api_keys.h"
#include "prometheus.h"
#include "review_queue.h"

namespace reviewrate::server {

/// What one client may take.
struct Limits {
  std::size_t connections = 1024;
  std::size_t head_bytes = 16 * 1024;
  std::size_t body_bytes = std::size_t{2} << 20;     ///< but of a stream
  std::size_t file_bytes = std::size_t{64} << 20;    ///< of a body that is a file
  std::size_t held_bytes = std::size_t{256} << 20;   ///< of all unfinished bodies and unsent answers together
  std::size_t stream_output = std::size_t{4} << 20;  ///< a stream whose answers are not read is read no further
  std::chrono::seconds head{10};                     ///< for a request's head
  std::chrono::seconds body{30};                     ///< for its body
  std::chrono::seconds idle{60};                     ///< between requests, and between the bytes of a stream
  std::chrono::seconds write{30};                    ///< for a client to take an answer, or 64 KiB of a stream
  std::chrono::seconds drain{30};                    ///< for what is open when the server is told to end
};

enum class LogFormat { none, text, jsonl };

/// How to serve.
struct ServerOptions {
  std::string host = "127.0.0.1";
  unsigned short port = 8080;  ///< 0: any that is free
  std::string unix_path;       ///< a socket in the file system instead of host and port
  std::string cors_origin;     ///< whose pages may read the answers; empty: none but the server's own
  LogFormat log = LogFormat::text;
  Limits limits;
};

/// See above.
struct Context {
  const ServerOptions& options;
  const Api& api;
  const ApiKeys& keys;
  ReviewQueue& queue;
  const MeteredModel& model;
  std::size_t workers;
  std::string info;                             ///< the body of /info
  std::string info_metric;                      ///< what is the same in every /metrics
  std::function<bool(const std::string&)> log;  ///< writes a line; false where nobody takes it
  Metrics metrics = {};
  std::size_t busy = 0;  ///< connections with a request that is not answered to its end
  bool draining = false;
  std::function<void()> on_idle = [] {};  ///< called when `busy` has become 0
};

}  // namespace reviewrate::server
