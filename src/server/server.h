// A server for a model: it takes connections until it is told to end, and ends when all that it took is answered.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "api_keys.h"
#include "context.h"
#include "reviewrate/package.h"
#include "reviewrate/pipeline.h"

namespace reviewrate::server {

/// What a server tells, and to whom.
struct Messages {
  std::function<void(const std::string&)> notify;  ///< a line for people; from any thread
  std::function<bool(const std::string&)> log;     ///< a line of the log; false where nobody takes it
};

/// See above. The constructor binds the address, so that nothing is loaded for one that is taken.
class Server {
 public:
  /// Throws Error(environment) where the address cannot be had.
  Server(ServerOptions options, std::size_t max_queue_tokens, Messages messages);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Serves until SIGINT, SIGTERM or SIGHUP, then answers what is open for as long as the limits say; a second signal
  /// ends the process. Gives how many reviews were left without an answer. `version` is the program's.
  std::size_t run(const Package& package, const PipelineOptions& pipeline, const ApiKeys& keys,
                  const std::string& version);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace reviewrate::server
