// Fuzz target: a connection's bytes, from requests' heads to what they ask of the model and how it is answered, without
// sockets. The first byte chooses how many labels the model has, the second in how large pieces the bytes come.
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "fuzz.h"
#include "reviewrate/rating.h"
#include "server/api.h"
#include "server/api_keys.h"
#include "server/message.h"
#include "server/request_head.h"
#include "server/routes.h"

using namespace reviewrate;
using namespace reviewrate::server;
using namespace reviewrate::fuzz;

namespace {

namespace http = boost::beast::http;

constexpr std::size_t kMaxReviewBytes = 200;

Api make_api(std::size_t labels) {
  Manifest manifest;
  manifest.name = "fuzz";
  for (std::size_t i = 0; i < labels; ++i) manifest.labels.push_back("<LABEL_" + std::to_string(i) + ">");
  if (labels == 2) manifest.positive = 1;
  return Api(manifest, kFullEffort, LongText::head, kMaxReviewBytes);
}

/// What a model might say of a text; of some it says nothing.
Outcome outcome_of(const Review& review, std::size_t labels) {
  Outcome outcome{review, std::nullopt};
  if (review.text.starts_with("fail")) {
    outcome.review.failure = Failure{"internal", "made up"};
    return outcome;
  }
  std::vector<float> logits;
  for (std::size_t i = 0; i < labels; ++i) logits.push_back(static_cast<float>((review.text.size() * (i + 3)) % 7));
  Scorer scorer;
  if (labels == 2) scorer.positive = 1;
  outcome.prediction = scorer(softmax(logits));
  outcome.prediction->tokens = review.text.size() + 2;
  outcome.prediction->truncated = review.text.size() > kMaxReviewBytes / 2;
  outcome.prediction->logits.assign(logits.begin(), logits.end());
  return outcome;
}

void check_reply(const Reply& reply) {
  check(reply.status >= 200 && reply.status < 600, "a status is one of HTTP");
  check(is_utf8(reply.body), "an answer is UTF-8");
  if (reply.type == "application/json") {
    check(nlohmann::json::accept(reply.body), "an answer that says so is JSON");
    check(reply.body.find('\n') == reply.body.size() - 1, "an answer is one line");
  }
  for (const auto& [name, value] : reply.headers) {
    check(value.find_first_of("\r\n") == value.npos, "a header is one line");
  }
}

void answer(const Api& api, const Request& request, std::size_t labels) {
  try {
    const Asked asked = api.read(request);
    check(asked.reviews.size() <= Api::kMaxTexts, "a request has a bounded number of texts");
    std::vector<Outcome> outcomes;
    for (const Review& review : asked.reviews) {
      check(is_utf8(review.text), "a text is UTF-8");
      check(review.text.size() <= 3 * kMaxReviewBytes, "a text is bounded");  // U+FFFD takes 3 bytes
      outcomes.push_back(outcome_of(review, labels));
    }
    check_reply(asked.reply(outcomes));
  } catch (const HttpError& e) {
    check(is_one_line(e.what()) || !is_utf8(e.what()), "an error is one line");
    check_reply(error_reply(e));
  }
}

/// Reads as many requests as `bytes` hold, as a connection does.
void read_requests(std::string_view bytes, std::size_t piece, const Api& api, std::size_t labels) {
  boost::beast::flat_buffer buffer;
  while (true) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(16 * 1024);
    parser.body_limit(std::uint64_t{1} << 20);
    parser.eager(true);
    boost::system::error_code error;
    while (!parser.is_done()) {
      if (buffer.size() > 0) {
        const std::size_t used = parser.put(buffer.data(), error);
        buffer.consume(used);
        if (error == http::error::need_more) error = {};
        if (error) return;
        if (used > 0) continue;
      }
      if (bytes.empty()) return;
      const std::size_t size = std::min(piece, bytes.size());
      buffer.commit(boost::asio::buffer_copy(buffer.prepare(size), boost::asio::buffer(bytes.data(), size)));
      bytes.remove_prefix(size);
    }
    const auto& message = parser.get();
    try {
      check_framing(message);
      check(message.count(http::field::transfer_encoding) == 0 || message.count(http::field::content_length) == 0,
            "what is let through says only once where it ends");
      const Target target = read_target(message);
      const Route* route = find_route(target.path);
      if (route != nullptr && route->post && message.method() == http::verb::post) {
        const auto type = message[http::field::content_type];
        answer(api, {target.path, target.query, std::string(type.data(), type.size()), message.body()}, labels);
      }
    } catch (const HttpError& e) {
      check_reply(error_reply(e));
    }
    const auto key = message[http::field::authorization];
    check(ApiKeys().accept({key.data(), key.size()}), "who wants no key takes any");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes = as_text(data, size);
  const std::size_t labels = 1 + take_byte(bytes) % 3;
  const std::size_t piece = 1 + take_byte(bytes);
  static const std::array<Api, 3> apis = {make_api(1), make_api(2), make_api(3)};
  read_requests(bytes, piece, apis.at(labels - 1), labels);
  return 0;
}
