// A request and its answer: what is known of them, and what both keep.
#pragma once

#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "context.h"
#include "record_stream.h"
#include "routes.h"

namespace reviewrate::server {

/// What one request is answered with, until all of its reviews have their outcome.
struct Waiting {
  std::function<Reply(std::span<const Outcome>)> reply;
  std::vector<Outcome> outcomes;
  std::size_t missing;
};

/// A request and its answer.
struct Exchange {
  explicit Exchange(Context& context) : held(context.metrics.held_bytes) {}

  /// Whether it was read to its end, so that the next one may stand behind it.
  bool whole() const { return parser.is_done() && !ends_in_doubt; }

  boost::beast::http::request_parser<boost::beast::http::buffer_body> parser;
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();  ///< from its head on
  bool ends_in_doubt = false;
  const Route* route = nullptr;
  std::string query;
  std::string type;
  Parameters parameters;  ///< of a stream or a file
  bool is_stream = false;
  bool is_file = false;
  std::string body;
  Share held;                            ///< bytes of the body
  std::shared_ptr<Waiting> waiting;      ///< for the model; or
  std::shared_ptr<RecordStream> stream;  ///< of a stream or a file
  bool answering = false;                ///< the answer's head is on its way
  bool keep = false;                     ///< and says that the connection stays
  unsigned status = 0;
  std::size_t sent = 0;
  std::size_t reviews = 0;
  std::size_t tokens = 0;
};

}  // namespace reviewrate::server
