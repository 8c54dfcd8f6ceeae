// The routes that classify: from a request to its reviews, and from their outcomes to the answer. No sockets.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
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

/// The dialects in which a classification can be asked for.
class Api {
 public:
  /// `long_text` is what happens to long reviews, as it is told on the page.
  Api(const Manifest& manifest, LongText long_text, std::size_t max_review_bytes);

  /// What a POST asks for. Throws HttpError. Streams are not read here.
  Asked read(const Request& request) const;

  /// The page, without a result.
  Reply page() const;

  /// Records as `classify` writes them.
  const Formatter& records() const { return *records_; }

  /// The most texts of one request that is no stream.
  static constexpr std::size_t kMaxTexts = 1024;

 private:
  Asked classify(const Request& request) const;       // ours
  Asked predict(const Request& request) const;        // Text Embeddings Inference
  Asked inference_api(const Request& request) const;  // Hugging Face
  Asked vllm(const std::string& body) const;          // vLLM
  Asked form(const Request& request) const;           // the page without JavaScript
  Asked one_record(std::string text) const;
  void add(Asked& asked, std::string text) const;

  std::string model_;
  std::vector<std::string> labels_;
  std::size_t max_tokens_;
  LongText long_text_;
  std::size_t max_review_bytes_;
  std::shared_ptr<const Formatter> records_;
};

/// Whether a body of this type is a stream of records.
bool is_stream(std::string_view media_type);

}  // namespace reviewrate::server
