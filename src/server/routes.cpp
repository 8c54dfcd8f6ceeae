// The table of routes; health, information, metrics and the API's description.
#include "routes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>

#include "assets.h"

namespace reviewrate::server {
namespace {

constexpr std::array<Route, 8> kRoutes = {{{"/", true, true, false},
                                           {"/classify", false, true, false},
                                           {"/predict", false, true, false},
                                           {"/v1/classify", false, true, false},
                                           {"/health", true, false, true},
                                           {"/info", true, false, false},
                                           {"/metrics", true, false, true},
                                           {"/openapi.json", true, false, true}}};

std::string metrics_text(const Context& context) {
  std::string out = context.info_metric;
  context.metrics.append(out);
  append_metric(out, "reviewrate_queue_reviews", "gauge", "Reviews that have no answer yet.",
                static_cast<double>(context.queue.reviews()));
  append_metric(out, "reviewrate_queue_tokens", "gauge", "Their tokens, estimated.",
                static_cast<double>(context.queue.tokens()));
  append_metric(out, "reviewrate_queue_tokens_limit", "gauge",
                "Above these of reviews to explain, or of others, requests are answered with 429.",
                static_cast<double>(context.queue.max_tokens()));
  context.model.append(out);
  return out;
}

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts = {};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  // The names of days and months are those of the C locale, which the program never leaves.
  return {text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

}  // namespace

const Route* find_route(std::string_view path) {
  const auto found =
      std::find_if(kRoutes.begin(), kRoutes.end(), [&](const Route& route) { return route.path == path; });
  return found == kRoutes.end() ? nullptr : &*found;
}

Reply get(const Route& route, const Context& context) {
  if (route.path == "/health") {
    if (context.draining) throw HttpError(503, "the server is about to end");
    return {200, "application/json", "{\"status\": \"ok\"}\n"};
  }
  if (route.path == "/info") return {200, "application/json", context.info};
  if (route.path == "/metrics") return {200, "text/plain; version=0.0.4; charset=utf-8", metrics_text(context)};
  if (route.path == "/openapi.json") return {200, "application/json", kOpenApi};
  return context.api.page();
}

std::string allowed_methods(const Route& route) {
  return std::string(route.get ? "GET, HEAD, " : "") + (route.post ? "POST, " : "") + "OPTIONS";
}

Reply preflight(const Route& route, const Context& context) {
  Reply reply{204, "", "", {{"Allow", allowed_methods(route)}}};
  if (!context.options.cors_origin.empty()) {
    reply.headers.emplace_back("Access-Control-Allow-Methods", allowed_methods(route));
    reply.headers.emplace_back("Access-Control-Allow-Headers", "Authorization, Content-Type");
    reply.headers.emplace_back("Access-Control-Max-Age", "600");
  }
  return reply;
}

std::vector<std::pair<std::string, std::string>> reply_headers(const Reply& reply, const Route* route,
                                                               const Context& context) {
  std::vector<std::pair<std::string, std::string>> headers = {{"Server", "reviewrate"},
                                                              {"Date", http_date()},
                                                              {"Cache-Control", "no-store"},
                                                              {"X-Content-Type-Options", "nosniff"}};
  if (!reply.type.empty()) headers.emplace_back("Content-Type", reply.type);
  headers.insert(headers.end(), reply.headers.begin(), reply.headers.end());
  if (reply.status == 401) headers.emplace_back("WWW-Authenticate", "Bearer, Basic realm=\"reviewrate\"");
  if (reply.status == 405 && route != nullptr) headers.emplace_back("Allow", allowed_methods(*route));
  if (reply.status == 429 || (reply.status == 503 && !context.draining)) {
    headers.emplace_back("Retry-After", std::to_string(retry_after(context)));
  }
  if (!context.options.cors_origin.empty()) {
    headers.emplace_back("Access-Control-Allow-Origin", context.options.cors_origin);
    headers.emplace_back("Vary", "Origin");
  }
  return headers;
}

std::size_t retry_after(const Context& context) {
  constexpr double kLongest = 60;
  const double rate = context.model.tokens_per_second(context.workers);
  const double seconds = rate > 0 ? static_cast<double>(context.queue.tokens()) / rate : 1;
  return static_cast<std::size_t>(std::clamp(std::ceil(seconds), 1.0, kLongest));
}

}  // namespace reviewrate::server
