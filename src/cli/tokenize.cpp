// reviewrate tokenize: what the model would see of each review.
#include <unistd.h>

#include <string>
#include <vector>

#include "commands.h"
#include "exit_status.h"
#include "package.h"
#include "record_writer.h"
#include "reviewrate/error.h"

namespace reviewrate::cli {
namespace {

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

}  // namespace

int tokenize(const Arguments& a, const Interruption& interruption) {
  std::vector<std::string> files = a.files;
  if (files.empty()) {
    if (::isatty(STDIN_FILENO) != 0)
      throw Error(ErrorKind::usage, "tokenize: nothing to read: name a FILE or pipe reviews in");
    files = {"-"};
  }
  const Manifest manifest = find_manifest(a);
  const auto tokenizer = load_tokenizer(manifest);
  const std::size_t max_tokens = a.max_tokens.value_or(manifest.max_tokens);
  if (max_tokens == 1 || max_tokens == 2) {
    throw Error(ErrorKind::usage,
                "--max-tokens " + std::to_string(max_tokens) + ": leaves no room beside the special tokens");
  }

  InputWaiter waiter(true);
  const auto source = open_source({}, files, a.input, waiter);
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
  if (interruption.signal() != 0) return kInterrupted + interruption.signal();
  return failed ? kRecordsFailed : kOk;
}

}  // namespace reviewrate::cli
