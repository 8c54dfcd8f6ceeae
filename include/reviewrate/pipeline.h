// The way of all reviews through the program: read, tokenize and fill batches in order; forward in parallel; write in
// order.
#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <string>

#include "reviewrate/batch.h"
#include "reviewrate/input.h"
#include "reviewrate/model.h"
#include "reviewrate/rating.h"
#include "reviewrate/record.h"
#include "reviewrate/tokenizer.h"

namespace reviewrate {

/// Takes the outcomes, in the order of their reviews.
class Sink {
 public:
  virtual ~Sink() = default;

  /// Takes one outcome. Throws Error(output).
  virtual void write(const Outcome& outcome) = 0;

  /// Nothing more is finished for now: what was written so far must become visible. Throws Error(output).
  virtual void flush() = 0;
};

/// How to run.
struct PipelineOptions {
  std::size_t workers = 1;          ///< batches in the model at the same time
  std::size_t batch_tokens = 1024;  ///< a batch is closed once it holds this many tokens (at least 8), at the end fewer
  WindowOptions window;
  Scorer scorer;
  bool fail_fast = false;      ///< stop reading after the first bad record
  std::size_t skip = 0;        ///< records at the front that need no prediction and are not given to the sink
  bool reuse_answers = false;  ///< a text that equals an earlier one, token for token, does not go through the model
  std::optional<UnsureRange> unsure = {};      ///< predictions are looked at for reasons not to rely on them
  std::optional<ExplainUnit> explain = {};     ///< every review is explained; Scorer::positive must be set
  std::size_t explain_budget = 64;             ///< variants of a review that the model sees for that, 2 or more
  std::string effort = {};                     ///< of the model; every prediction says it
  const std::atomic<bool>* stopped = nullptr;  ///< once true no more is read or given to the model
};

/// Runs every review of `source` through `model` into `sink`. Batches depend on the reviews and the workers alone
/// unless a stream keeps the reader waiting: then what was read so far goes ahead. Where the system has fewer threads
/// than there should be workers, there are fewer workers. Throws what source, model and sink throw.
void run_pipeline(Source& source, const Tokenizer& tokenizer, const Model& model, Sink& sink,
                  const PipelineOptions& options);

}  // namespace reviewrate
