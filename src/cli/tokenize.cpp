// reviewrate tokenize: what the model would see of each review.
#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "command.h"
#include "console.h"
#include "exit_status.h"
#include "help.h"
#include "options.h"
#include "output_plan.h"
#include "reviewrate/error.h"
#include "reviewrate/output_stream.h"

namespace reviewrate::cli {
namespace {

struct TokenizeOptions {
  ModelChoice model;
  InputChoice input;
  std::optional<std::size_t> max_tokens;  ///< 0: no limit; empty: the model's
};

std::string record(const Review& review, const std::vector<TokenId>& ids, bool truncated, const Tokenizer& tokenizer) {
  std::string id_list;
  std::string token_list;
  for (const TokenId id : ids) {
    const char* comma = id_list.empty() ? "" : ", ";
    id_list += comma + std::to_string(id);
    token_list += comma + json_string(std::string(tokenizer.token(id)));
  }
  return ", \"ids\": [" + id_list + "], \"tokens\": [" + token_list +
         "], \"truncated\": " + (truncated ? "true" : "false") +
         (review.repaired > 0 ? ", \"repaired\": " + std::to_string(review.repaired) : "");
}

int tokenize(TokenizeOptions a, const Interruption& interruption) {
  const std::vector<std::string> files = input_files(a.input, ", pipe reviews in, or give one with --text");
  const Manifest manifest = find_manifest(a.model);
  OutputPlan plan;
  plan.writes("the records", "-");
  plan.reads_inputs(files, a.input.files_from);
  plan.reads_model(manifest);
  plan.check();
  a.input.options.skip = plan.skip();
  const auto tokenizer = open_tokenizer(manifest);
  const std::size_t max_tokens = a.max_tokens.value_or(manifest.max_tokens);
  if (max_tokens == 1 || max_tokens == 2) {
    throw Error(ErrorKind::usage,
                "--max-tokens " + std::to_string(max_tokens) + ": leaves no room beside the special tokens");
  }

  InputWaiter waiter(true);
  a.input.options.notify = print_notice;
  const auto source = open_source(a.input.texts, files, a.input.options, waiter);
  OutputStream stream("");
  std::string out;
  std::vector<TokenId> ids;
  Review review;
  bool failed = false;
  while (!interruption.flag().load()) {
    const Source::Status status = source->next(review, out.empty());
    if (status == Source::Status::end) break;
    if (status == Source::Status::review) {
      out += "{\"id\": " + (review.id.json ? review.id.text : json_string(review.id.text));
      if (review.failure) {
        failed = true;
        out += ", \"error\": {\"kind\": " + json_string(review.failure->kind) +
               ", \"message\": " + json_string(review.failure->message) + "}";
      } else {
        ids.assign(1, tokenizer->begin_id());
        tokenizer->encode(review.text, ids);
        const bool truncated = max_tokens > 0 && ids.size() + 1 > max_tokens;
        if (truncated) ids.resize(max_tokens - 1);
        ids.push_back(tokenizer->end_id());
        out += record(review, ids, truncated, *tokenizer);
      }
      out += "}\n";
    }
    constexpr std::size_t kFlushBytes = 1 << 16;
    if (status == Source::Status::idle || out.size() >= kFlushBytes) {
      stream.write(out);
      out.clear();
    }
  }
  stream.write(out);
  stream.close();
  const InputFindings findings = source->findings();
  print_findings(findings);
  if (interruption.signal() != 0) return kInterrupted + interruption.signal();
  return failed || !findings.problems.empty() ? kRecordsFailed : kOk;
}

}  // namespace

Run add_tokenize(CLI::App& app) {
  const auto a = std::make_shared<TokenizeOptions>();
  add_model_options(app, a->model);
  add_text_option(app, a->input, "Tokenize TEXT; may repeat");
  add_input_options(app, a->input);
  begin_group(app, "Output");
  app.add_option("--max-tokens", a->max_tokens,
                 "Cut after N tokens, special ones included; 0: never (default: the model's)")
      ->check(CLI::Range(std::size_t{0}, std::size_t{1} << 40).description(""))
      ->type_name("N");
  add_footer(app, "Example: reviewrate tokenize -t \"It is very nice film\"");
  return [a](const Interruption& interruption) { return tokenize(*a, interruption); };
}

}  // namespace reviewrate::cli
