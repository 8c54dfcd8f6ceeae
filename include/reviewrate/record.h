// What goes in and what comes out: one Review is read, one Outcome is written, for every record of the input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "reviewrate/explanation.h"

namespace reviewrate {

/// A value that is carried from input to output without being looked into.
struct Value {
  std::string text;   ///< valid UTF-8
  bool json = false;  ///< `text` is JSON that is not a string (number, true, null, array, object)

  bool operator==(const Value&) const = default;
};

/// A named value, such as a passed-through column.
struct Field {
  std::string name;
  Value value;

  bool operator==(const Field&) const = default;
};

/// Why a record could not be classified. A bad record is data, not an exception.
struct Failure {
  std::string kind;     ///< one word for scripts: "json", "field", "columns", "open", "read", "size", ...
  std::string message;  ///< for people, "what: where: why", on one line

  bool operator==(const Failure&) const = default;
};

/// Rows as Arrow holds them (src/arrow/arrow_module.h), whose columns have names and types; null: there are none.
using ArrowBatch = std::shared_ptr<const void>;

/// Where a record of a Parquet or Arrow file stands, so that columns can be written with the types they have there.
struct ArrowPlace {
  ArrowBatch batch;  ///< null: it is of another file
  std::size_t row = 0;
};

/// One record as it was read.
struct Review {
  Value id;
  std::string text;                ///< valid UTF-8
  std::size_t repaired = 0;        ///< invalid UTF-8 bytes that U+FFFD stands for now
  std::vector<Field> passed;       ///< columns to carry through, in the order asked for
  std::optional<Failure> failure;  ///< set: there is no text to classify
  std::string path;                ///< of a review that is a whole file, from the FILE that was named on
  std::uint64_t position = 0;      ///< where it ended, in bytes of all inputs as they are stored; about, if compressed
  ArrowPlace place;
  bool has_fields = false;             ///< it was a record with named fields, and no line or whole file
  std::optional<ExplainUnit> explain;  ///< its prediction is to be explained, whatever the run does with others
};

/// What the model says of one review.
struct Prediction {
  std::size_t label = 0;                        ///< index into the model's labels
  double score = 0;                             ///< probability of `label`
  std::optional<double> positive;               ///< probability of the positive label, where the model names one
  std::optional<int> rating;                    ///< 1-10, where the model gives one: no_rating() of its manifest
  std::size_t tokens = 0;                       ///< of the whole review with its two special tokens, before any cut
  bool truncated = false;                       ///< some tokens were not seen by the model
  std::size_t windows = 1;                      ///< how many pieces the model saw
  std::vector<double> probabilities = {};       ///< of every label
  bool repeated = false;                        ///< taken from an equal text earlier in the run
  std::vector<double> logits = {};              ///< of every label, means over the windows; none of a repeated text
  std::string unsure = {};                      ///< why it is not to be relied on; empty: nothing speaks against it
  std::optional<Explanation> explanation = {};  ///< where it was asked for
  std::string effort = {};                      ///< PipelineOptions::effort
};

/// A review with its prediction, or with its failure: then `prediction` is empty.
struct Outcome {
  Review review;
  std::optional<Prediction> prediction;
};

}  // namespace reviewrate
