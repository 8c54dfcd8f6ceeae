// A state machine of callbacks on one thread: wait, head, body, model, answer, and from the front. What a client does
// too slowly ends in 408 or in silence, what it does wrongly in an error; then the connection is closed, as nobody
// knows where the next request would begin.
#include "connection.h"

#include <array>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <limits>
#include <memory>
#include <optional>
#include <sstream>
#include <utility>

#include "deadline.h"
#include "record_stream.h"
#include "request_head.h"
#include "request_log.h"
#include "routes.h"

namespace reviewrate::server {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Socket socket, std::string peer, bool crowded, Context& context)
      : socket_(std::move(socket)),
        peer_(std::move(peer)),
        crowded_(crowded),
        context_(context),
        limits_(context.options.limits),
        read_deadline_(socket_),
        write_deadline_(socket_) {
    ++context_.metrics.connections;
  }

  ~Connection() {
    if (stream_) stream_->abandon();
    hold(0);
    --context_.metrics.connections;
    set_busy(false);
  }

  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start() { wait_for_request(limits_.head); }

 private:
  /// What one request is answered with, until all of its reviews have their outcome.
  struct Waiting {
    std::function<Reply(std::span<const Outcome>)> reply;
    std::vector<Outcome> outcomes;
    std::size_t missing;
  };

  /// A handler that keeps the connection alive, and ends it with 500 where it throws.
  template <typename Function>
  auto handler(Function function) {
    return [self = shared_from_this(), function](const error_code& error, std::size_t size = 0) {
      self->guard([&] { function(error, size); });
    };
  }

  template <typename Function>
  void guard(Function function) {
    try {
      function();
    } catch (const HttpError& e) {
      send(error_reply(e));
    } catch (const std::exception& e) {
      send(error_reply(HttpError(500, "the server cannot do this now")));
    }
  }

  // --- A request's head ---

  void wait_for_request(std::chrono::seconds time) {
    if (buffer_.size() > 0) return read_head();  // pipelined
    constexpr std::size_t kFirstBytes = 4096;
    chunk_ = nullptr;  // there may be many who ask nothing for long
    if (buffer_.capacity() > kFirstBytes) buffer_.shrink_to_fit();
    read_deadline_.arm(time, shared_from_this());
    socket_.async_read_some(buffer_.prepare(kFirstBytes), handler([this](const error_code& error, std::size_t size) {
                              if (error) return;  // nobody waits for an answer
                              buffer_.commit(size);
                              read_head();
                            }));
  }

  void read_head() {
    set_busy(true);
    begin_ = Clock::now();
    route_ = nullptr;
    method_ = http::verb::unknown;
    reviews_ = tokens_ = 0;
    answering_ = is_stream_ = is_file_ = false;
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(limits_.head_bytes));
    parser_->body_limit(std::numeric_limits<std::uint64_t>::max());  // begin_body() and on_body() bound it
    read_deadline_.arm(limits_.head, shared_from_this());
    http::async_read_header(socket_, buffer_, *parser_,
                            handler([this](const error_code& error, std::size_t) { on_head(error); }));
  }

  void on_head(const error_code& error) {
    if (read_deadline_.expired()) throw HttpError(408, "the request's head did not come in time");
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      throw HttpError(431, "the request's head is larger than " + std::to_string(limits_.head_bytes) + " bytes");
    }
    if (error == http::error::end_of_stream || error == http::error::partial_message) return;
    if (error && error.category() == error_code(http::error::bad_method).category()) {
      throw HttpError(400, "the request is not HTTP/1.1: " + error.message());
    }
    if (error) return;
    begin_ = Clock::now();
    const auto& head = parser_->get();
    method_ = head.method();
    ends_in_doubt_ = true;
    check_framing(head);
    ends_in_doubt_ = false;
    Target target = read_target(head);
    query_ = std::move(target.query);
    route_ = find_route(target.path);
    if (route_ == nullptr) throw HttpError(404, "there is no such path; /openapi.json lists all");
    check_rights(head);
    if (method_ == http::verb::options) return send(preflight(*route_, context_));
    if (method_ == http::verb::get || method_ == http::verb::head) {
      if (!route_->get) wrong_method();
      return send(get(*route_, context_));
    }
    if (method_ != http::verb::post || !route_->post) wrong_method();
    begin_body(head);
  }

  void check_rights(const RequestHead& head) {
    if (route_->open) return;
    if (crowded_) throw HttpError(503, "there are too many connections");
    if (method_ == http::verb::options) return;  // browsers send no key with it
    const auto key = head[http::field::authorization];
    if (!context_.keys.accept({key.data(), key.size()})) {
      throw HttpError(401, "a key is needed: Authorization: Bearer KEY");
    }
  }

  [[noreturn]] void wrong_method() const {
    throw HttpError(405, std::string(route_->path) + " has " + allowed_methods(*route_));
  }

  // --- Its body ---

  void begin_body(const RequestHead& head) {
    const auto content_type = head[http::field::content_type];
    type_.assign(content_type.data(), content_type.size());
    const std::string type = route_->path == "/classify" ? media_type(type_) : "";
    is_stream_ = is_stream(type);
    is_file_ = type == kFile;
    const auto length = parser_->content_length();
    if (!is_stream_ && length && *length > most_bytes()) too_large();
    if (is_stream_ || is_file_) {
      parameters_ = context_.api.parameters(query_, is_file_);
      if (!context_.queue.has_room(0, parameters_.explain.has_value())) busy();
    }
    if (is_stream_) stream_ = std::make_shared<RecordStream>(context_, parameters_, changed());
    if (!chunk_) chunk_ = std::make_unique<Chunk>();
    read_deadline_.arm(is_stream_ || is_file_ ? limits_.idle : limits_.body, shared_from_this());
    if (head.count(http::field::expect) > 0 && !parser_->is_done()) {
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      return asio::async_write(socket_, asio::buffer(kContinue), handler([this](const error_code& error, std::size_t) {
                                 if (!error) read_body();
                               }));
    }
    read_body();
  }

  void read_body() {
    if (parser_->is_done()) return on_body(0);
    auto& body = parser_->get().body();
    body.data = chunk_->data();
    body.size = chunk_->size();
    reading_ = true;
    http::async_read_some(socket_, buffer_, *parser_, handler([this](const error_code& error, std::size_t) {
                            reading_ = false;
                            on_read(error);
                          }));
  }

  void on_read(const error_code& error) {
    if (error && error != http::error::need_buffer) {
      if (stream_) stream_->abandon();
      if (read_deadline_.expired()) throw HttpError(408, "the request's body did not come in time");
      if (error.category() == error_code(http::error::bad_method).category() && error != http::error::partial_message) {
        throw HttpError(400, "the request's body is not to be understood: " + error.message());
      }
      return close();
    }
    on_body(chunk_->size() - parser_->get().body().size);
  }

  void on_body(std::size_t size) {
    const std::string_view bytes(chunk_->data(), size);
    // Files wait long for the model, and leave half of it to others.
    if (context_.metrics.held_bytes + size > limits_.held_bytes / (is_file_ ? 2 : 1)) {
      throw HttpError(503, "too much is being sent to the server");
    }
    if (is_stream_) {
      stream_->feed(bytes, parser_->is_done());
      return go_on();
    }
    if (body_.size() + size > most_bytes()) too_large();
    body_ += bytes;
    hold(body_.size());
    if (parser_->is_done()) return is_file_ ? read_file() : ask();
    if (is_file_) read_deadline_.arm(limits_.idle, shared_from_this());
    read_body();
  }

  std::size_t most_bytes() const { return is_file_ ? limits_.file_bytes : limits_.body_bytes; }

  [[noreturn]] void too_large() const {
    throw HttpError(413, "the body is larger than " + std::to_string(most_bytes()) +
                             " bytes: /classify takes a stream of any length as application/x-ndjson");
  }

  [[noreturn]] void busy() const { throw HttpError(429, "too many reviews are waiting"); }

  /// Says how many bytes this connection keeps.
  void hold(std::size_t bytes) {
    context_.metrics.held_bytes += bytes;
    context_.metrics.held_bytes -= std::exchange(held_, bytes);
  }

  // --- The model ---

  void ask() {
    read_deadline_.disarm();
    Asked asked = context_.api.read({std::string(route_->path), query_, type_, std::exchange(body_, {})});
    hold(0);
    std::size_t all_tokens = 0;
    std::vector<std::size_t> tokens;
    for (const Review& review : asked.reviews) {
      all_tokens += tokens.emplace_back(context_.api.estimated_tokens(review));
    }
    const bool explained = !asked.reviews.empty() && asked.reviews.front().explain;
    if (explained && all_tokens > context_.queue.max_tokens()) {
      throw HttpError(413, too_much_to_explain(all_tokens, context_.queue.max_tokens()) +
                               ": send fewer texts at once, or a stream of them");
    }
    if (!context_.queue.has_room(all_tokens, explained)) busy();
    const auto waiting = std::make_shared<Waiting>();
    waiting->reply = std::move(asked.reply);
    waiting->missing = asked.reviews.size();
    waiting->outcomes.resize(asked.reviews.size());
    if (asked.reviews.empty()) return send(waiting->reply({}));
    for (std::size_t i = 0; i < asked.reviews.size(); ++i) {
      context_.queue.push(std::move(asked.reviews[i]), tokens[i],
                          [self = shared_from_this(), waiting, i](Outcome outcome) {
                            waiting->outcomes[i] = std::move(outcome);
                            if (--waiting->missing == 0) self->guard([&] { self->answer(*waiting); });
                          });
    }
  }

  void answer(const Waiting& waiting) {
    reviews_ = waiting.outcomes.size();
    for (const Outcome& outcome : waiting.outcomes) {
      if (outcome.prediction) tokens_ += outcome.prediction->tokens;
      ++(outcome.prediction ? context_.metrics.reviews : context_.metrics.failures);
    }
    context_.metrics.tokens += tokens_;
    send(waiting.reply(waiting.outcomes));
  }

  // --- The answer ---

  void send(Reply reply) {
    if (stream_) stream_->abandon();
    if (std::exchange(answering_, true)) return close();  // it has begun already
    read_deadline_.disarm();
    hold(0);
    body_ = {};
    // Behind a request that was not read to its end, or of whose end one cannot be sure, there is no other one.
    const bool whole = parser_ && parser_->is_done() && !ends_in_doubt_;
    const bool keep = whole && parser_->get().keep_alive() && !crowded_ && !context_.draining;
    status_ = reply.status;
    auto response = std::make_shared<http::response<http::string_body>>(static_cast<http::status>(reply.status),
                                                                        whole ? parser_->get().version() : 11);
    for (const auto& [name, value] : reply_headers(reply, route_, context_)) response->set(name, value);
    response->keep_alive(keep);
    if (reply.status != 204) response->content_length(reply.body.size());
    if (method_ != http::verb::head) response->body() = std::move(reply.body);
    write_deadline_.arm(limits_.write, shared_from_this());
    http::async_write(socket_, *response,
                      handler([this, response, keep, whole](const error_code& error, std::size_t size) {
                        on_sent(error, size, keep, whole);
                      }));
  }

  void on_sent(const error_code& error, std::size_t size, bool keep, bool whole) {
    write_deadline_.disarm();
    log(error ? 499 : status_, size);
    set_busy(false);
    if (error) return close();
    if (keep) return wait_for_request(limits_.idle);
    if (whole && buffer_.size() == 0) return close();
    linger();
  }

  /// A client that still sends would lose the answer if the socket were closed under it.
  void linger() {
    constexpr std::chrono::seconds kTime{2};
    error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
    read_deadline_.arm(kTime, shared_from_this());
    if (!chunk_) chunk_ = std::make_unique<Chunk>();
    discard();
  }

  void discard() {
    socket_.async_read_some(asio::buffer(*chunk_), handler([this](const error_code& error, std::size_t) {
                              if (!error && !read_deadline_.expired()) discard();
                            }));
  }

  void close() {
    if (stream_) stream_->abandon();
    error_code ignored;
    socket_.close(ignored);
    read_deadline_.disarm();
    write_deadline_.disarm();
  }

  // --- A stream: it is read and written at the same time; or a file, which was read: browsers do no more ---

  std::function<void()> changed() {
    return [self = shared_from_this()] { self->guard([&] { self->go_on(); }); };
  }

  void read_file() {
    read_deadline_.disarm();
    hold(0);
    stream_ = std::make_shared<RecordStream>(context_, parameters_, changed(), std::exchange(body_, {}));
    stream_->feed({}, /*last=*/true);
    go_on();
  }

  void go_on() {
    if (!socket_.is_open()) return;
    if (!writing_ && (stream_->has_output() || stream_->finished())) write_stream();
    if (!reading_ && !parser_->is_done() && stream_->wants_input()) {
      read_deadline_.arm(limits_.idle, shared_from_this());
      read_body();
    }
  }

  void write_stream() {
    constexpr std::size_t kMost = 64 * 1024;
    const bool chunked = parser_->get().version() == 11;
    const auto out = std::make_shared<std::string>();
    if (!std::exchange(answering_, true)) *out = stream_head(chunked);
    const std::string bytes = stream_->take_output(kMost);
    if (chunked && !bytes.empty()) {
      std::ostringstream size;
      size << std::hex << bytes.size();
      *out += size.str() + "\r\n" + bytes + "\r\n";
    } else {
      *out += bytes;
    }
    const bool last = stream_->finished() && !stream_->has_output();
    if (last && chunked) *out += "0\r\n\r\n";
    writing_ = true;
    write_deadline_.arm(limits_.write, shared_from_this());
    asio::async_write(socket_, asio::buffer(*out),
                      handler([this, out, last, chunked](const error_code& error, std::size_t size) {
                        writing_ = false;
                        streamed_ += size;
                        if (!error && !last) {
                          write_deadline_.disarm();
                          return go_on();
                        }
                        end_stream(error, chunked);
                      }));
  }

  std::string stream_head(bool chunked) {
    status_ = 200;
    streamed_ = 0;
    http::response_header<> head;
    head.version(chunked ? 11 : 10);
    head.result(http::status::ok);
    const Reply reply{200, "application/x-ndjson", "", {{"X-Accel-Buffering", "no"}}};  // of nginx
    for (const auto& [name, value] : reply_headers(reply, route_, context_)) head.set(name, value);
    keep_stream_ = chunked && parser_->get().keep_alive() && !crowded_;
    head.set(http::field::connection, keep_stream_ ? "keep-alive" : "close");
    if (chunked) head.set(http::field::transfer_encoding, "chunked");
    std::ostringstream out;
    out << head;
    return out.str();
  }

  void end_stream(const error_code& error, bool chunked) {
    reviews_ = stream_->reviews();
    tokens_ = stream_->tokens();
    stream_->abandon();
    stream_ = nullptr;
    read_deadline_.disarm();
    on_sent(error, streamed_, keep_stream_ && chunked && !context_.draining, parser_->is_done());
  }

  // --- What is told of it ---

  void set_busy(bool busy) {
    if (std::exchange(busy_, busy) == busy) return;
    busy ? ++context_.busy : --context_.busy;
    if (context_.busy == 0) context_.on_idle();
  }

  void log(unsigned status, std::size_t size) {
    RequestRecord record{peer_, {}, "other", status, 0, reviews_, tokens_, size};
    const auto method = http::to_string(method_);
    record.method = {method.data(), method.size()};
    if (route_ != nullptr) record.route = route_->path;
    record.seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    context_.metrics.answered(record.route, status, record.seconds);
    if (context_.options.log == LogFormat::none) return;
    if (!context_.log(log_line(record, context_.options.log))) ++context_.metrics.lost_log_lines;
  }

  using Chunk = std::array<char, 16 * 1024>;

  Socket socket_;
  const std::string peer_;
  const bool crowded_;
  Context& context_;
  const Limits& limits_;
  Deadline read_deadline_;
  Deadline write_deadline_;
  beast::flat_buffer buffer_{128 * 1024};
  std::unique_ptr<Chunk> chunk_;  ///< of a body that is read
  std::size_t held_ = 0;
  bool busy_ = false;

  // Of the current request.
  std::optional<http::request_parser<http::buffer_body>> parser_;
  const Route* route_ = nullptr;
  http::verb method_ = http::verb::unknown;
  std::string query_;
  std::string type_;
  std::string body_;
  Parameters parameters_;  ///< of a stream or a file
  bool is_stream_ = false;
  bool is_file_ = false;
  std::shared_ptr<RecordStream> stream_;
  bool ends_in_doubt_ = false;
  bool reading_ = false;
  bool writing_ = false;
  bool answering_ = false;  ///< the answer's head is on its way
  bool keep_stream_ = false;
  unsigned status_ = 0;
  std::size_t streamed_ = 0;
  std::size_t reviews_ = 0;
  std::size_t tokens_ = 0;
  Clock::time_point begin_;
};

}  // namespace

void serve_connection(Socket socket, std::string peer, bool crowded, Context& context) {
  std::make_shared<Connection>(std::move(socket), std::move(peer), crowded, context)->start();
}

}  // namespace reviewrate::server
