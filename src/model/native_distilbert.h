// The forward pass of a DistilBERT classifier on ragged batches, in fp32, bf16 or int8.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "distilbert_weights.h"
#include "kernels.h"
#include "reviewrate/batch.h"
#include "reviewrate/precision.h"

namespace reviewrate {

/// y = activation(x W^T + b), with x [n, in], y [n, out], both in the precision's tensor type (fp32 for int8); n at
/// least kLeastRows.
class Linear {
 public:
  Linear(const LinearWeights& weights, Precision precision, Activation activation = Activation::none);

  at::Tensor operator()(const at::Tensor& x) const;

 private:
  at::Tensor fp32(const at::Tensor& x) const;
  at::Tensor int8(const at::Tensor& x) const;

  Precision precision_;
  Activation activation_;
  std::int64_t in_;
  std::int64_t out_;
  at::Tensor weight_;  ///< packed as its product reads it
  at::Tensor bias_;
  at::Tensor scales_;       ///< int8: of the weight's rows [out]
  at::Tensor zero_points_;  ///< int8: zeros [out]
  at::Tensor row_sums_;     ///< int8: of the weight's quantized values, scaled [out]
};

/// Layer normalization of x + y over the last dimension.
class Norm {
 public:
  explicit Norm(const NormWeights& weights);

  /// x and y [n, dim], fp32 or bf16 -> out, of the same shape and type; it may be x or y.
  void operator()(const at::Tensor& x, const at::Tensor& y, at::Tensor& out) const;

 private:
  at::Tensor weight_;
  at::Tensor bias_;
  float epsilon_;
};

/// A transformer layer. Of the last one only the windows' first tokens are computed.
class Layer {
 public:
  Layer(const LayerWeights& weights, bool last, Precision precision);

  /// The layer's output for x [rows, dim], whose first rows are windows of these lengths one after another (the others
  /// are in no window). Of each window as many tokens go on as `kept` says (most_attended()); the others are computed
  /// no further: [rows, dim], in x itself where all go on, or from the last layer, which does not look at `kept`, [at
  /// least one row a window, dim].
  at::Tensor operator()(const at::Tensor& x, const std::vector<std::int64_t>& lengths,
                        std::vector<std::int64_t>& kept) const;

 private:
  at::Tensor feed_forward(const at::Tensor& context, at::Tensor x) const;

  std::size_t heads_;
  bool rounded_;                 ///< whether fp32 attention may round, as int8 has rounded more before
  std::optional<Linear> query_;  ///< the last layer's, for first tokens alone
  Linear projection_;            ///< of query, key and value one after another; of key and value in the last layer
  Linear out_;
  Norm norm1_;
  Linear up_;
  Linear down_;
  Norm norm2_;
};

/// The classifier. It keeps nothing of the weights that it is made from.
class NativeDistilBert {
 public:
  /// `keep` are the shares of a window's tokens that go on after each layer but the last (Schedule); none: all do.
  /// Throws std::invalid_argument where there are not as many.
  NativeDistilBert(const DistilBertWeights& weights, Precision precision, std::vector<double> keep);

  /// Logits, fp32 [windows, labels]. From any thread that is in inference mode.
  at::Tensor forward(const Batch& batch) const;

 private:
  at::ScalarType type_;
  at::Tensor word_embeddings_;      ///< fp16: rows are widened as they are looked up, which is exact and spares memory
  at::Tensor position_embeddings_;  ///< fp16
  Norm norm_;
  std::vector<Layer> layers_;
  std::vector<double> keep_;
  Linear pre_classifier_;
  Linear classifier_;
};

}  // namespace reviewrate
