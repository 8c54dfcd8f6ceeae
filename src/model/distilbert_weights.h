// What DistilBERT's forward pass assumes of a model.pt, taken out of it and checked: shapes, types, finite values. The
// file is read as data: nothing in it is executed, and libtorch never sees it.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels.h"
#include "reviewrate/file.h"

namespace reviewrate {

/// A linear layer's weight [out, in] and bias [out].
struct LinearWeights {
  const Half* weight;
  const Half* bias;
  std::size_t out;
  std::size_t in;
};

/// A layer normalization's weight and bias [size].
struct NormWeights {
  const Half* weight;
  const Half* bias;
  std::size_t size;
  float epsilon;
};

/// A transformer layer.
struct LayerWeights {
  LinearWeights query;       ///< of the last layer, where it is for first tokens alone
  LinearWeights projection;  ///< of query, key and value one after another; of key and value in the last layer
  LinearWeights out;
  NormWeights norm1;
  LinearWeights up;
  LinearWeights down;
  NormWeights norm2;
  Activation activation;  ///< after up
  std::size_t heads;      ///< they divide the width
};

/// Embeddings [rows, width].
struct EmbeddingWeights {
  const Half* weight;
  std::size_t rows;
  std::size_t width;
};

/// A classifier. Every number is finite, every size at least 1, and all of them fit together.
struct DistilBertWeights {
  EmbeddingWeights word_embeddings;
  EmbeddingWeights position_embeddings;
  NormWeights norm;
  std::vector<LayerWeights> layers;  ///< at least one; the last one as LayerWeights says
  LinearWeights pre_classifier;
  LinearWeights classifier;
};

/// What the rest of a package asks of the weights.
struct DistilBertUse {
  std::size_t labels;
  std::size_t vocab_size;  ///< ids from 0 to vocab_size - 1
  std::size_t max_tokens;  ///< in a window
};

/// The weights in `file`, as scripts/export.py writes them, and which `file` must outlive. Throws Error(model) where
/// they are not what the forward pass assumes, or do not fit `use`.
DistilBertWeights read_distilbert_weights(const FileBytes& file, const DistilBertUse& use);

}  // namespace reviewrate
