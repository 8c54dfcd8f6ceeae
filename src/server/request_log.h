// A line for each request, without anything that a client wrote but its method.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "context.h"

namespace reviewrate::server {

/// What is told of a request.
struct RequestRecord {
  std::string_view client;
  std::string_view method;
  std::string_view route;  ///< a path that there is, or "other"
  unsigned status = 0;     ///< 499: the client was gone before it had its answer
  double seconds = 0;      ///< from the head to the end of the answer
  std::size_t reviews = 0;
  std::size_t tokens = 0;
  std::size_t bytes = 0;  ///< sent
};

/// The line, without its end. `format` is not none.
std::string log_line(const RequestRecord& record, LogFormat format);

}  // namespace reviewrate::server
