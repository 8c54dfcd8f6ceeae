// Two threads: this one has the sockets and does nothing else, the other one runs the pipeline.
#include "server.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "connection.h"
#include "reviewrate/error.h"
#include "reviewrate/text.h"

namespace reviewrate::server {
namespace {

namespace asio = boost::asio;
using Protocol = asio::generic::stream_protocol;
using Acceptor = asio::basic_socket_acceptor<Protocol>;
using boost::system::error_code;

/// Descriptors beside those of connections: the standard ones, files, libraries.
constexpr std::size_t kOtherDescriptors = 64;
/// Connections above the limit that are told so.
constexpr std::size_t kCrowd = 32;
/// What the system may hold of a client's answers. It grows to megabytes otherwise, and a write goes on only when a
/// third of them was taken: a client who reads slowly but steadily would seem to read nothing.
constexpr int kSendBuffer = 64 * 1024;

[[noreturn]] void fail(const std::string& address, const std::string& reason) {
  throw Error(ErrorKind::environment, address + ": cannot be listened on: " + reason);
}

/// Makes room for so many descriptors; gives how many connections there can be.
std::size_t connections_possible(std::size_t wanted) {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  const rlim_t needed = wanted + kCrowd + kOtherDescriptors;
  if (limit.rlim_cur < needed) {
    limit.rlim_cur = std::min(needed, limit.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  return limit.rlim_cur >= needed ? wanted : limit.rlim_cur - std::min(limit.rlim_cur - 1, kCrowd + kOtherDescriptors);
}

std::string shown(const asio::ip::tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return "http://" + (endpoint.address().is_v6() ? "[" + address + "]" : address) + ":" +
         std::to_string(endpoint.port());
}

asio::ip::tcp::endpoint as_tcp(const Protocol::endpoint& endpoint) {
  asio::ip::tcp::endpoint out;
  out.resize(endpoint.size());
  std::copy_n(reinterpret_cast<const char*>(endpoint.data()), endpoint.size(), reinterpret_cast<char*>(out.data()));
  return out;
}

/// Device and inode of what stands there.
std::optional<std::pair<dev_t, ino_t>> file_at(const std::string& path) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
  return std::pair(status.st_dev, status.st_ino);
}

/// Removes a socket that an earlier server has left; anything else stays.
void remove_left_socket(asio::io_context& io, const std::string& path) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0) return;
  if (!S_ISSOCK(status.st_mode)) fail(path, "there is something else of this name");
  asio::local::stream_protocol::socket probe(io);
  error_code error;
  probe.connect(asio::local::stream_protocol::endpoint(path), error);
  if (!error) fail(path, "another server listens there");
  ::unlink(path.c_str());
}

}  // namespace

class Server::Impl {
 public:
  Impl(ServerOptions options, std::size_t max_queue_tokens, Messages messages)
      : options_(std::move(options)),
        messages_(std::move(messages)),
        acceptor_(io_),
        signals_(io_),
        retry_timer_(io_),
        drain_timer_(io_),
        queue_(max_queue_tokens, [this](std::function<void()> deliver) { asio::post(io_, std::move(deliver)); }) {
    const std::size_t possible = connections_possible(options_.limits.connections);
    if (possible < options_.limits.connections) {
      messages_.notify("the system allows " + std::to_string(possible) + " connections and not " +
                       std::to_string(options_.limits.connections) + ": raise the limit of open files (ulimit -n)");
      options_.limits.connections = possible;
    }
    options_.unix_path.empty() ? bind_tcp() : bind_unix();
  }

  ~Impl() {
    // Another server may stand there by now.
    if (bound_unix_ && file_at(options_.unix_path) == bound_unix_) ::unlink(options_.unix_path.c_str());
  }

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  std::size_t run(const Package& package, const PipelineOptions& pipeline, const ApiKeys& keys,
                  const std::string& version) {
    const MeteredModel& model = model_.emplace(*package.model);
    const Api& api =
        api_.emplace(package.manifest, package.effort, pipeline.window.policy, InputOptions().max_review_bytes);
    Described described = describe(package, pipeline, version);
    context_.emplace(Context{options_, api, keys, queue_, model, pipeline.workers, std::move(described.json),
                             std::move(described.metric), messages_.log});
    error_code error;
    acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) fail(address_, error.message());
    wait_for_signals();
    accept();
    std::atomic<bool> stopped{false};
    PipelineOptions options = pipeline;
    options.stopped = &stopped;
    std::thread worker([&] { classify_queue(queue_, *package.tokenizer, model, options, messages_.notify); });
    std::exception_ptr failure;
    try {
      messages_.notify("listening on " + address_ + " with model " + package.manifest.name);
      run_handlers();
    } catch (...) {
      failure = std::current_exception();
    }
    context_->on_idle = [] {};
    const std::size_t unanswered = queue_.awaited();
    stopped = true;
    queue_.close();
    worker.join();
    if (failure) std::rethrow_exception(failure);
    if (unanswered > 0) messages_.notify(counted(unanswered, "review") + " left without an answer");
    return unanswered;
  }

 private:
  struct Described {
    std::string json;    ///< of /info
    std::string metric;  ///< of /metrics
  };

  void bind_tcp() {
    const std::string port = std::to_string(options_.port);
    address_ = options_.host + ":" + port;
    error_code error;
    asio::ip::tcp::resolver resolver(io_);
    const auto found = resolver.resolve(options_.host, port, asio::ip::tcp::resolver::passive, error);
    if (error) fail(address_, error.message());
    const asio::ip::tcp::endpoint endpoint = *found.begin();
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (error) fail(address_, error.message());
    address_ = shown(as_tcp(acceptor_.local_endpoint()));
  }

  void bind_unix() {
    address_ = options_.unix_path;
    error_code error;
    if (address_.size() >= sizeof(sockaddr_un::sun_path)) fail(address_, "the path is too long for a socket");
    remove_left_socket(io_, address_);
    acceptor_.open(asio::local::stream_protocol(), error);
    if (!error) acceptor_.bind(asio::local::stream_protocol::endpoint(address_), error);
    if (error) fail(address_, error.message());
    bound_unix_ = file_at(address_);
  }

  Described describe(const Package& package, const PipelineOptions& pipeline, const std::string& version) const {
    const Manifest& manifest = package.manifest;
    const std::string precision = precision_name(package.precision);
    nlohmann::ordered_json id2label = nlohmann::ordered_json::object();
    nlohmann::ordered_json label2id = nlohmann::ordered_json::object();
    for (std::size_t i = 0; i < manifest.labels.size(); ++i) {
      id2label[std::to_string(i)] = manifest.labels[i];
      label2id[manifest.labels[i]] = i;
    }
    // Names of Text Embeddings Inference where it has the same.
    const nlohmann::ordered_json info = {
        {"model_id", manifest.name},
        {"model_sha256", model_sha256(manifest)},
        {"model_dtype", precision},
        {"effort", package.effort},
        {"model_type", {{"classifier", {{"id2label", id2label}, {"label2id", label2id}}}}},
        {"positive_label", manifest.positive ? nlohmann::ordered_json(manifest.labels[*manifest.positive]) : nullptr},
        {"rating", !no_rating(manifest).empty() ? nlohmann::ordered_json(nullptr)
                   : pipeline.scorer.thresholds ? "fitted"
                                                : "linear"},
        {"threshold", has_threshold(manifest) ? nlohmann::ordered_json(pipeline.scorer.threshold) : nullptr},
        {"long_text", long_text_name(pipeline.window.policy)},
        {"max_input_length", manifest.max_tokens},
        {"max_batch_tokens", pipeline.batch_tokens},
        {"max_client_batch_size", Api::kMaxTexts},
        {"max_queue_tokens", queue_.max_tokens()},
        {"max_body_bytes", options_.limits.body_bytes},
        {"max_file_bytes", options_.limits.file_bytes},
        {"max_connections", options_.limits.connections},
        {"workers", pipeline.workers},
        {"version", version}};
    const auto dumped = [](const nlohmann::ordered_json& value) {
      return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    };
    return {
        dumped(info) + '\n',
        "# HELP reviewrate_info The program and its model.\n# TYPE reviewrate_info gauge\nreviewrate_info{version=" +
            dumped(version) + ",model=" + dumped(manifest.name) + ",precision=" + dumped(precision) +
            ",effort=" + dumped(package.effort) + "} 1\n"};
  }

  /// What a handler throws ends the connection that it belongs to, and nothing else.
  void run_handlers() {
    while (true) {
      try {
        io_.run();
        return;
      } catch (const std::exception& e) {
        messages_.notify(std::string("a connection was ended: ") + e.what());
      }
    }
  }

  void accept() {
    acceptor_.async_accept([this](const error_code& error, Socket socket) {
      if (error == asio::error::operation_aborted) return;
      // First the next one: take() may throw.
      error || full(1) ? accept_later() : accept();
      if (!error) take(std::move(socket));
    });
  }

  /// Whether there would be no room behind so many more connections.
  bool full(std::size_t more) const {
    return context_->metrics.connections + more >= options_.limits.connections + kCrowd;
  }

  /// There are no descriptors, or too many connections: those who knock wait for a moment.
  void accept_later() {
    constexpr std::chrono::milliseconds kPause{50};
    retry_timer_.expires_after(kPause);
    retry_timer_.async_wait([this](const error_code& error) {
      if (error) return;
      full(0) ? accept_later() : accept();
    });
  }

  void take(Socket socket) {
    error_code ignored;
    socket.set_option(asio::socket_base::send_buffer_size(kSendBuffer), ignored);
    std::string peer = "unix";
    if (options_.unix_path.empty()) {
      socket.set_option(asio::ip::tcp::no_delay(true), ignored);
      const Protocol::endpoint endpoint = socket.remote_endpoint(ignored);
      peer = ignored ? "gone" : as_tcp(endpoint).address().to_string();
    }
    const bool crowded = context_->metrics.connections >= options_.limits.connections;
    serve_connection(std::move(socket), std::move(peer), crowded, *context_);
  }

  void wait_for_signals() {
    // What the shell told a background job to ignore stays ignored, and so does what nohup did.
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
      struct sigaction old = {};
      if (::sigaction(number, nullptr, &old) == 0 && old.sa_handler == SIG_IGN) continue;
      signals_.add(number);
    }
    signals_.async_wait([this](const error_code& error, int) {
      if (!error) drain();
    });
  }

  void drain() {
    signals_.clear();  // the next one has its usual effect
    // Who has been let in by the system, though not by us, may have sent a request.
    error_code error;
    acceptor_.non_blocking(true, error);
    while (!error && context_->metrics.connections < options_.limits.connections) {
      Socket socket(io_);
      acceptor_.accept(socket, error);
      if (!error) take(std::move(socket));
    }
    acceptor_.close(error);
    retry_timer_.cancel();
    context_->draining = true;
    messages_.notify("ending: " + counted(context_->busy, "request") + " to answer first");
    // What has arrived is read meanwhile; only then it is known who waits for an answer.
    constexpr std::chrono::milliseconds kFirstLook{100};
    drain_timer_.expires_after(kFirstLook);
    drain_timer_.async_wait([this](const error_code&) {
      if (context_->busy == 0) return io_.stop();
      context_->on_idle = [this] { io_.stop(); };
      drain_timer_.expires_after(options_.limits.drain);
      drain_timer_.async_wait([this](const error_code&) { io_.stop(); });
    });
  }

  ServerOptions options_;
  const Messages messages_;
  std::optional<MeteredModel> model_;
  std::optional<Api> api_;
  std::optional<Context> context_;  // connections end with io_ and queue_, and before it
  asio::io_context io_{1};
  Acceptor acceptor_;
  asio::signal_set signals_;
  asio::steady_timer retry_timer_;
  asio::steady_timer drain_timer_;
  ReviewQueue queue_;
  std::string address_;
  std::optional<std::pair<dev_t, ino_t>> bound_unix_;  ///< the socket in the file system
};

Server::Server(ServerOptions options, std::size_t max_queue_tokens, Messages messages)
    : impl_(std::make_unique<Impl>(std::move(options), max_queue_tokens, std::move(messages))) {}

Server::~Server() = default;

std::size_t Server::run(const Package& package, const PipelineOptions& pipeline, const ApiKeys& keys,
                        const std::string& version) {
  return impl_->run(package, pipeline, keys, version);
}

}  // namespace reviewrate::server
