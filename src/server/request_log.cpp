// Times are UTC, as RFC 3339 writes them.
#include "request_log.h"

#include <array>
#include <ctime>
#include <nlohmann/json.hpp>

#include "reviewrate/text.h"

namespace reviewrate::server {

std::string log_line(const RequestRecord& record, LogFormat format) {
  std::array<char, 32> time{};
  const std::time_t now = std::time(nullptr);
  std::tm parts = {};
  ::gmtime_r(&now, &parts);
  std::strftime(time.data(), time.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (format == LogFormat::jsonl) {
    return nlohmann::ordered_json{{"time", time.data()},       {"client", record.client}, {"method", record.method},
                                  {"route", record.route},     {"status", record.status}, {"seconds", record.seconds},
                                  {"reviews", record.reviews}, {"tokens", record.tokens}, {"bytes", record.bytes}}
        .dump();
  }
  return std::string(time.data()) + " " + std::string(record.client) + " " + std::string(record.method) + " " +
         std::string(record.route) + " " + std::to_string(record.status) + ", " + fixed(1000 * record.seconds, 1) +
         " ms, " + counted(record.reviews, "review") + ", " + counted(record.tokens, "token");
}

}  // namespace reviewrate::server
