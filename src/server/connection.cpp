// A state machine of callbacks on one thread: wait, head, body, model, answer, and from the front. What a client does
// too slowly ends in 408 or in silence, what it does wrongly in an error; then the connection is closed, as nobody
// knows where the next request would begin. A connection lives as long as something of it is under way: a read, a
// write, or a review that waits for the model. Every request ends in finish(), whatever ends it.
#include "connection.h"

#include <array>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <limits>
#include <memory>
#include <optional>
#include <sstream>
#include <utility>

#include "deadline.h"
#include "exchange.h"
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

/// What a request is told with whose client was gone, or was cut off, before it had its answer.
constexpr unsigned kClientGone = 499;

/// Whether what a client has sent is no HTTP, and did not only end too early.
bool is_syntax_error(const error_code& error) {
  return error.category() == error_code(http::error::bad_method).category() && error != http::error::end_of_stream &&
         error != http::error::partial_message;
}

class Connection final : public RecordStream::Owner, public std::enable_shared_from_this<Connection> {
 public:
  Connection(Socket socket, std::string peer, bool crowded, Context& context)
      : socket_(std::move(socket)),
        peer_(std::move(peer)),
        crowded_(crowded),
        context_(context),
        limits_(context.options.limits),
        deadline_(socket_),
        open_(context.metrics.connections) {
    open_.set(1);
  }

  ~Connection() override { finish(/*answered=*/false); }

  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start() { wait_for_request(Clock::now() + limits_.head); }

  void on_answer(const std::function<void()>& take) override {
    guard([&] {
      take();
      go_on();
    });
  }

 private:
  // --- What is under way ---

  /// Runs a function, and ends the request with 500 where it throws. Nothing goes on once the socket is closed, not
  /// even what was done before.
  template <typename Function>
  void guard(Function function) {
    if (!socket_.is_open()) return;
    try {
      function();
    } catch (const HttpError& e) {
      send(error_reply(e));
    } catch (const std::exception& e) {
      send(error_reply(HttpError(500, "the server cannot do this now")));
    }
  }

  /// The handler of a read, which keeps the connection alive. Where the time ran out the error is timeout.
  template <typename Function>
  auto on_read(Clock::time_point until, Function function) {
    reading_ = until;
    watch();
    return [self = shared_from_this(), function](error_code error, std::size_t size) {
      self->guard([&] {
        if (self->deadline_.expired()) error = beast::error::timeout;
        self->reading_.reset();
        self->watch();
        function(error, size);
      });
    };
  }

  /// The handler of a write. While a stream is read and written at the same time the write's end bounds both: who takes
  /// answers is not idle.
  template <typename Function>
  auto on_write(Function function) {
    writing_ = Clock::now() + limits_.write;
    watch();
    return [self = shared_from_this(), function](const error_code& error, std::size_t size) {
      self->guard([&] {
        self->writing_.reset();
        if (self->reading_) self->reading_ = Clock::now() + self->limits_.idle;
        self->watch();
        self->exchange_->sent += size;
        function(error);
      });
    };
  }

  void watch() {
    if (!reading_ && !writing_) return deadline_.disarm();
    deadline_.arm(writing_ ? *writing_ : *reading_, weak_from_this());
  }

  // --- A request's head ---

  void wait_for_request(Clock::time_point until) {
    constexpr std::size_t kFirstBytes = 4096;
    const auto there = [this] {
      return std::string_view(static_cast<const char*>(buffer_.data().data()), buffer_.size());
    };
    while (there().starts_with("\r\n")) buffer_.consume(2);  // an empty line is none (RFC 9112, section 2.2)
    if (!there().empty() && there() != "\r") return read_head();
    chunk_ = nullptr;  // there may be many who ask nothing for long
    exchange_.reset();
    if (buffer_.capacity() > kFirstBytes) buffer_.shrink_to_fit();
    socket_.async_read_some(buffer_.prepare(kFirstBytes),
                            on_read(until, [this, until](const error_code& error, std::size_t size) {
                              if (error) return close();  // nobody waits for an answer
                              buffer_.commit(size);
                              wait_for_request(until);
                            }));
  }

  void read_head() {
    Exchange& e = exchange_.emplace(context_);
    busy_ = true;
    ++context_.busy;
    e.parser.header_limit(static_cast<std::uint32_t>(limits_.head_bytes));
    e.parser.body_limit(std::numeric_limits<std::uint64_t>::max());  // begin_body() and on_body() bound it
    http::async_read_header(
        socket_, buffer_, e.parser,
        on_read(e.begin + limits_.head, [this](const error_code& error, std::size_t) { on_head(error); }));
  }

  void on_head(const error_code& error) {
    if (error == beast::error::timeout) throw HttpError(408, "the request's head did not come in time");
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      throw HttpError(431, "the request's head is larger than " + std::to_string(limits_.head_bytes) + " bytes");
    }
    if (is_syntax_error(error)) throw HttpError(400, "the request is not HTTP/1.1: " + error.message());
    if (error) return close();
    Exchange& e = *exchange_;
    e.begin = Clock::now();
    const auto& head = e.parser.get();
    e.ends_in_doubt = true;
    check_framing(head);
    e.ends_in_doubt = false;
    Target target = read_target(head);
    e.query = std::move(target.query);
    e.route = find_route(target.path);
    if (e.route == nullptr) throw HttpError(404, "there is no such path; /openapi.json lists all");
    check_rights(head);
    if (head.method() == http::verb::options) return send(preflight(*e.route, context_));
    if (head.method() == http::verb::get || head.method() == http::verb::head) {
      if (!e.route->get) wrong_method();
      return send(get(*e.route, context_));
    }
    if (head.method() != http::verb::post || !e.route->post) wrong_method();
    begin_body(head);
  }

  void check_rights(const RequestHead& head) const {
    if (exchange_->route->open) return;
    if (crowded_) throw HttpError(503, "there are too many connections");
    if (head.method() == http::verb::options) return;  // browsers send no key with it
    const auto key = head[http::field::authorization];
    if (!context_.keys.accept({key.data(), key.size()})) {
      throw HttpError(401, "a key is needed: Authorization: Bearer KEY");
    }
  }

  [[noreturn]] void wrong_method() const {
    throw HttpError(405, std::string(exchange_->route->path) + " has " + allowed_methods(*exchange_->route));
  }

  // --- Its body ---

  void begin_body(const RequestHead& head) {
    Exchange& e = *exchange_;
    const auto content_type = head[http::field::content_type];
    e.type.assign(content_type.data(), content_type.size());
    const std::string type = e.route->path == "/classify" ? media_type(e.type) : "";
    e.is_stream = is_stream(type);
    e.is_file = type == kFile;
    const auto length = e.parser.content_length();
    if (!e.is_stream && length && *length > most_bytes()) too_large();
    if (e.is_stream || e.is_file) {
      e.parameters = context_.api.parameters(e.query, e.is_file);
      if (!context_.queue.has_room(e.parameters.explain.has_value())) busy();
    }
    if (e.is_stream) e.stream = std::make_shared<RecordStream>(context_, e.parameters, weak_from_this());
    if (!chunk_) chunk_ = std::make_unique<Chunk>();
    if (head.count(http::field::expect) > 0 && head.version() == 11 && !e.parser.is_done()) {
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      return asio::async_write(socket_, asio::buffer(kContinue),
                               on_write([this](const error_code& error) { error ? close() : read_body(); }));
    }
    read_body();
  }

  void read_body() {
    Exchange& e = *exchange_;
    if (e.parser.is_done()) return on_body(0);
    auto& body = e.parser.get().body();
    body.data = chunk_->data();
    body.size = chunk_->size();
    const bool endless = e.is_stream || e.is_file;
    const Clock::time_point until = endless ? Clock::now() + limits_.idle : e.begin + limits_.body;
    http::async_read_some(socket_, buffer_, e.parser,
                          on_read(until, [this](const error_code& error, std::size_t) { on_some_body(error); }));
  }

  void on_some_body(const error_code& error) {
    if (error == beast::error::timeout) throw HttpError(408, "the request's body did not come in time");
    if (error && error != http::error::need_buffer) {
      if (is_syntax_error(error))
        throw HttpError(400, "the request's body is not to be understood: " + error.message());
      return close();
    }
    on_body(chunk_->size() - exchange_->parser.get().body().size);
  }

  void on_body(std::size_t size) {
    Exchange& e = *exchange_;
    const std::string_view bytes(chunk_->data(), size);
    // Files wait long for the model, and leave half of it to others.
    if (context_.metrics.held_bytes + size > limits_.held_bytes / (e.is_file ? 2 : 1)) {
      throw HttpError(503, "too much is being sent to the server");
    }
    if (e.is_stream) {
      e.stream->feed(bytes, e.parser.is_done());
      return go_on();
    }
    if (e.body.size() + size > most_bytes()) too_large();
    e.body += bytes;
    e.held.set(e.body.size());
    if (!e.parser.is_done()) return read_body();
    e.is_file ? read_file() : ask();
  }

  std::size_t most_bytes() const { return exchange_->is_file ? limits_.file_bytes : limits_.body_bytes; }

  [[noreturn]] void too_large() const {
    throw HttpError(413, "the body is larger than " + std::to_string(most_bytes()) +
                             " bytes: /classify takes a stream of any length as application/x-ndjson");
  }

  [[noreturn]] void busy() const { throw HttpError(429, "too many reviews are waiting"); }

  /// The body, which is not held any more.
  std::string take_body() {
    exchange_->held.set(0);
    return std::exchange(exchange_->body, {});
  }

  // --- The model ---

  void ask() {
    Exchange& e = *exchange_;
    Asked asked = context_.api.read({std::string(e.route->path), e.query, e.type, take_body()});
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
    if (!context_.queue.has_room(explained)) busy();
    if (asked.reviews.empty()) return send(asked.reply({}));
    const std::size_t count = asked.reviews.size();
    e.waiting = std::make_shared<Waiting>(Waiting{std::move(asked.reply), std::vector<Outcome>(count), count});
    for (std::size_t i = 0; i < count; ++i) {
      context_.queue.push(std::move(asked.reviews[i]), tokens[i], e.waiting,
                          [self = shared_from_this(), weak = std::weak_ptr(e.waiting), i](Outcome outcome) {
                            const std::shared_ptr<Waiting> waiting = weak.lock();
                            if (!waiting) return;
                            waiting->outcomes[i] = std::move(outcome);
                            if (--waiting->missing == 0) self->guard([&] { self->answer(*waiting); });
                          });
    }
  }

  void answer(const Waiting& waiting) {
    Exchange& e = *exchange_;
    e.reviews = waiting.outcomes.size();
    for (const Outcome& outcome : waiting.outcomes) {
      if (outcome.prediction) e.tokens += outcome.prediction->tokens;
      ++(outcome.prediction ? context_.metrics.reviews : context_.metrics.failures);
    }
    context_.metrics.tokens += e.tokens;
    send(waiting.reply(waiting.outcomes));
  }

  // --- The answer ---

  /// Answers the request, or closes the connection where an answer has begun.
  void send(Reply reply) {
    if (!busy_ || reading_ || std::exchange(exchange_->answering, true)) return close();
    Exchange& e = *exchange_;
    forget_reviews();
    take_body();
    // Behind a request that was not read to its end, or of whose end one cannot be sure, there is no other one.
    const auto& request = e.parser.get();
    e.keep = e.whole() && request.keep_alive() && !crowded_ && !context_.draining;
    e.status = reply.status;
    auto response = std::make_shared<http::response<http::string_body>>(static_cast<http::status>(reply.status),
                                                                        e.whole() ? request.version() : 11);
    for (const auto& [name, value] : reply_headers(reply, e.route, context_)) response->set(name, value);
    response->keep_alive(e.keep);
    if (reply.status != 204) response->content_length(reply.body.size());
    if (request.method() != http::verb::head) response->body() = std::move(reply.body);
    http::async_write(socket_, *response, on_write([this, response](const error_code& error) { end_answer(error); }));
  }

  void end_answer(const error_code& error) {
    finish(/*answered=*/!error);
    if (error) return close();
    if (exchange_->keep && !context_.draining) return wait_for_request(Clock::now() + limits_.idle);
    if (exchange_->whole() && buffer_.size() == 0) return close();
    linger();
  }

  /// A client that still sends would lose the answer if the socket were closed under it.
  void linger() {
    constexpr std::chrono::seconds kTime{2};
    error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
    if (!chunk_) chunk_ = std::make_unique<Chunk>();
    discard(Clock::now() + kTime);
  }

  void discard(Clock::time_point until) {
    socket_.async_read_some(asio::buffer(*chunk_), on_read(until, [this, until](const error_code& error, std::size_t) {
                              error ? close() : discard(until);
                            }));
  }

  // --- A stream: it is read and written at the same time; or a file, which was read: browsers do no more ---

  void read_file() {
    Exchange& e = *exchange_;
    std::string file = take_body();
    e.stream = std::make_shared<RecordStream>(context_, e.parameters, weak_from_this(), std::move(file));
    e.stream->feed({}, /*last=*/true);
    go_on();
  }

  void go_on() {
    const RecordStream& stream = *exchange_->stream;
    if (!writing_ && (stream.has_output() || stream.finished())) write_stream();
    if (!reading_ && !exchange_->parser.is_done() && stream.wants_input()) read_body();
  }

  void write_stream() {
    constexpr std::size_t kMost = 64 * 1024;
    Exchange& e = *exchange_;
    const bool chunked = e.parser.get().version() == 11;
    const auto out = std::make_shared<std::string>();
    if (!std::exchange(e.answering, true)) *out = stream_head(chunked);
    const std::string bytes = e.stream->take_output(kMost);
    if (chunked && !bytes.empty()) {
      std::ostringstream size;
      size << std::hex << bytes.size();
      *out += size.str() + "\r\n" + bytes + "\r\n";
    } else {
      *out += bytes;
    }
    const bool last = e.stream->finished() && !e.stream->has_output();
    if (last && chunked) *out += "0\r\n\r\n";
    asio::async_write(socket_, asio::buffer(*out), on_write([this, out, last](const error_code& error) {
                        error || last ? end_answer(error) : go_on();
                      }));
  }

  std::string stream_head(bool chunked) {
    Exchange& e = *exchange_;
    e.status = 200;
    e.keep = chunked && e.parser.get().keep_alive() && !crowded_;
    http::response_header<> head;
    head.version(chunked ? 11 : 10);
    head.result(http::status::ok);
    const Reply reply{200, "application/x-ndjson", "", {{"X-Accel-Buffering", "no"}}};  // of nginx
    for (const auto& [name, value] : reply_headers(reply, e.route, context_)) head.set(name, value);
    head.set(http::field::connection, e.keep ? "keep-alive" : "close");
    if (chunked) head.set(http::field::transfer_encoding, "chunked");
    std::ostringstream out;
    out << head;
    return out.str();
  }

  // --- The end ---

  /// Nobody waits for the request's reviews any more: the queue passes over them.
  void forget_reviews() {
    Exchange& e = *exchange_;
    if (e.stream) {
      e.reviews = e.stream->reviews();
      e.tokens = e.stream->tokens();
    }
    e.stream = nullptr;
    e.waiting = nullptr;
  }

  /// The end of a request, if there is one. `answered`: its client has the answer.
  void finish(bool answered) {
    if (!std::exchange(busy_, false)) return;
    forget_reviews();
    take_body();
    if (exchange_->status != 0 || exchange_->parser.is_header_done()) log(answered ? exchange_->status : kClientGone);
    if (--context_.busy == 0) context_.on_idle();
  }

  void close() {
    finish(/*answered=*/false);
    error_code ignored;
    socket_.close(ignored);
    deadline_.disarm();
    open_.set(0);
  }

  void log(unsigned status) noexcept {
    Exchange& e = *exchange_;
    try {
      RequestRecord record{peer_, {}, "other", status, 0, e.reviews, e.tokens, e.sent};
      const auto method = http::to_string(e.parser.get().method());
      record.method = {method.data(), method.size()};
      if (e.route != nullptr) record.route = e.route->path;
      record.seconds = std::chrono::duration<double>(Clock::now() - e.begin).count();
      context_.metrics.answered(record.route, status, record.seconds);
      if (context_.options.log == LogFormat::none || context_.log(log_line(record, context_.options.log))) return;
    } catch (const std::exception&) {  // no memory
    }
    ++context_.metrics.lost_log_lines;
  }

  using Chunk = std::array<char, 16 * 1024>;

  Socket socket_;
  const std::string peer_;
  const bool crowded_;
  Context& context_;
  const Limits& limits_;
  std::optional<Clock::time_point> reading_;  ///< a read is under way, and may take until then
  std::optional<Clock::time_point> writing_;
  Deadline deadline_;  ///< of what is under way
  Share open_;
  beast::flat_buffer buffer_{128 * 1024};
  std::unique_ptr<Chunk> chunk_;      ///< of a body that is read
  std::optional<Exchange> exchange_;  ///< what is under way may use it after its end
  bool busy_ = false;                 ///< and it has not ended
};

}  // namespace

void serve_connection(Socket socket, std::string peer, bool crowded, Context& context) {
  std::make_shared<Connection>(std::move(socket), std::move(peer), crowded, context)->start();
}

}  // namespace reviewrate::server
