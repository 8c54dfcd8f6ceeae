// reviewrate serve: the model behind HTTP, until a signal.
#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include "command.h"
#include "console.h"
#include "exit_status.h"
#include "help.h"
#include "options.h"
#include "reviewrate/error.h"
#include "server/server.h"

namespace reviewrate::cli {
namespace {

/// What can be typed after `reviewrate serve`.
struct ServeOptions {
  ModelChoice model;
  std::size_t workers = 0;
  ScoringChoice scoring;
  server::ServerOptions server;
  std::size_t max_queue_tokens = std::size_t{128} * 1024;
  std::string api_key_file;
};

int serve(ServeOptions a, const Interruption& interruption) {
  // Whoever reads stderr may go; the server stays.
  std::signal(SIGPIPE, SIG_IGN);
  // Elsewhere an empty variable is as good as none; here it would open the server to all.
  const char* const key_file = std::getenv("REVIEWRATE_API_KEY_FILE");
  if (a.api_key_file.empty() && key_file != nullptr) {
    throw Error(ErrorKind::usage, "REVIEWRATE_API_KEY_FILE: is empty: name the file of keys, or unset it");
  }
  const server::ApiKeys keys = a.api_key_file.empty() ? server::ApiKeys() : server::ApiKeys(a.api_key_file);
  server::Server server(a.server, a.max_queue_tokens, {print_notice, print_log_line});
  const Package package = open_package_for(a.model, a.workers);
  PipelineOptions pipeline = pipeline_options(a.workers, a.scoring, package.manifest, interruption);
  pipeline.effort = package.effort;
  return server.run(package, pipeline, keys, REVIEWRATE_VERSION) == 0 ? kOk : kRecordsFailed;
}

void add_count(CLI::App& app, const std::string& name, std::size_t& value, const std::string& help,
               std::size_t least = 1) {
  app.add_option(name, value, help)
      ->capture_default_str()
      ->check(CLI::Range(least, std::size_t{1} << 40).description(""))
      ->type_name("N");
}

void add_seconds(CLI::App& app, const std::string& name, std::chrono::seconds& value, const std::string& help,
                 unsigned least = 1) {
  app.add_option_function<unsigned>(
         name, [&value](unsigned seconds) { value = std::chrono::seconds(seconds); }, help)
      ->default_str(std::to_string(value.count()))
      ->check(CLI::Range(least, 86400U).description(""))
      ->type_name("S");
}

/// An origin as browsers send it, which is compared as a whole: https://shop.example, or * for all.
std::string refuse_no_origin(const std::string& text) {
  const std::size_t host = text.find("://") == text.npos ? text.npos : text.find("://") + 3;
  const bool is_origin = host != text.npos && host < text.size() && text.find_first_of("/ ", host) == text.npos;
  return text == "*" || is_origin ? "" : '"' + text + "\" is no origin such as https://shop.example, or *";
}

}  // namespace

Run add_serve(CLI::App& app) {
  static const std::map<std::string, server::LogFormat> kLogs = {
      {"none", server::LogFormat::none}, {"text", server::LogFormat::text}, {"jsonl", server::LogFormat::jsonl}};
  const auto a = std::make_shared<ServeOptions>();
  server::ServerOptions& options = a->server;
  server::Limits& limits = options.limits;
  CLI::Option* const host = app.add_option("--host", options.host, "Address to listen on; 0.0.0.0 or :: for all")
                                ->capture_default_str()
                                ->type_name("ADDRESS");
  CLI::Option* const port = app.add_option("--port", options.port, "Port to listen on, to 65535; 0: any that is free")
                                ->capture_default_str()
                                ->check(CLI::Range(0U, 65535U).description(""))
                                ->type_name("N");
  CLI::Option* const unix_path =
      app.add_option("--unix", options.unix_path, "Listen on a socket in the file system instead")
          ->type_name("PATH")
          ->excludes(host)
          ->excludes(port);
  add_model_options(app, a->model);
  add_workers_option(app, a->workers);
  add_speed_options(app, a->model);
  add_scoring_options(app, a->scoring);
  app.add_option("--api-key-file", a->api_key_file, "Keys, one a line, of which every request must bring one")
      ->type_name("FILE");
  app.add_option("--cors-origin", options.cors_origin, "Pages of this origin may ask, too (default: none)")
      ->check(refuse_no_origin)
      ->type_name("ORIGIN");
  app.add_option_function<std::string>(
         "--log", [&options](const std::string& name) { options.log = kLogs.at(name); }, "A line a request on stderr")
      ->default_str("text")
      ->check(CLI::IsMember(kLogs).description(""))
      ->type_name("text|jsonl|none");
  add_count(
      app, "--max-queue-tokens", a->max_queue_tokens,
      "Tokens of the reviews that wait (estimated); from there on the answer is 429. Those to be explained are counted "
      "apart, with the tokens of all variants");
  add_count(app, "--max-connections", limits.connections, "Connections; above them the answer is 503");
  add_count(app, "--max-body-bytes", limits.body_bytes, "Bytes of a request, of a stream none");
  add_seconds(app, "--head-seconds", limits.head, "Time for a request's head");
  add_seconds(app, "--body-seconds", limits.body, "Time for a request's body");
  add_seconds(app, "--idle-seconds", limits.idle, "Time between requests, and for a stream without anything new");
  add_seconds(app, "--write-seconds", limits.write, "Time for a client to take its answer");
  add_seconds(app, "--drain-seconds", limits.drain, "Time to answer what is open after SIGTERM, SIGINT or SIGHUP",
              /*least=*/0);
  add_footer(app,
             "Every option can be given in the environment, too, --port 80 as\n"
             "REVIEWRATE_PORT=80; what is typed goes first. There is no TLS: a proxy in\n"
             "front of it has that, and whoever can reach the port can ask.\n"
             "Example: reviewrate serve --port 8080\n"
             "Example: curl -d 'text=A lovely film.' localhost:8080/classify");
  return [=](const Interruption& interruption) {
    // What is typed goes before the environment, also where it is another option.
    if (unix_path->count() == 0 && host->count() + port->count() > 0) a->server.unix_path.clear();
    return serve(*a, interruption);
  };
}

}  // namespace reviewrate::cli
