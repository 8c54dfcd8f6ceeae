// The routes that classify: from a request to its reviews, and from their outcomes to the answer. No sockets.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "message.h"
#include "reviewrate/formatter.h"
#include "reviewrate/manifest.h"
#include "reviewrate/record.h"

namespace reviewrate::server {

/// What a request asks of the model.
struct Asked {
  std::vector<Review> reviews;
  /// The answer, from an outcome for each of the reviews. Throws HttpError.
  std::function<Reply(std::span<const Outcome>)> reply;
};

/// What the query of a /classify asks for.
struct Parameters {
  std::optional<ExplainUnit> explain;  ///< every review is explained by it
  std::string file = "-";              ///< of a file: its name
  std::string text_field;              ///< of a file: InputOptions::text_field; empty: the usual one
  bool texts = false;                  ///< of a file: whoever shows the records needs more than they hold
};

/// The dialects in which a classification can be asked for.
class Api {
 public:
  /// `long_text` is what happens to long reviews, as it is told on the page.
  Api(const Manifest& manifest, const std::string& effort, LongText long_text, std::size_t max_review_bytes);

  /// What a POST asks for. Throws HttpError. Streams are not read here.
  Asked read(const Request& request) const;

  /// What the query of a /classify asks for; `of_file`: its body is a file. Throws HttpError.
  Parameters parameters(std::string_view query, bool of_file) const;

  /// Tokens that the model reads for a review, estimated without tokenizing it.
  std::size_t estimated_tokens(const Review& review) const;

  /// The page, without a result.
  Reply page() const;

  /// Records as `classify` writes them.
  Formatter& records() const { return *records_; }

  /// The most texts of one request that is no stream.
  static constexpr std::size_t kMaxTexts = 1024;

 private:
  Asked classify(const Request& request) const;       // ours
  Asked read_classify(const Request& request) const;  // all of it but its query
  Asked predict(const Request& request) const;        // Text Embeddings Inference
  Asked inference_api(const Request& request) const;  // Hugging Face
  Asked vllm(const std::string& body) const;          // vLLM
  Asked form(const Request& request) const;           // the page without JavaScript
  ExplainUnit parse_explain_unit(const std::string& value) const;
  Asked one_record(std::string text) const;
  void add(Asked& asked, std::string text) const;

  std::string model_;
  std::vector<std::string> labels_;
  std::string positive_;  ///< a label; empty where the model names none
  std::size_t max_tokens_;
  LongText long_text_;
  std::size_t max_review_bytes_;
  std::shared_ptr<Formatter> records_;
};

/// The type of a body that is a file, which is read as the command line reads it.
inline constexpr std::string_view kFile = "application/octet-stream";

/// Whether a body of this type is a stream of records.
bool is_stream(std::string_view media_type);

}  // namespace reviewrate::server
