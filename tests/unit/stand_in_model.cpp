// See the header.
#include "stand_in_model.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "../../src/model/distilbert_weights.h"
#include "../../src/model/kernels.h"
#include "../../src/model/torch_archive.h"
#include "reviewrate/error.h"
#include "reviewrate/torch_model.h"

namespace reviewrate {
namespace {

using Rows = std::vector<float>;

std::size_t loaded = 0;

float widened(Half x) {
  const int exponent = x.bits >> 10 & 31;
  const int fraction = x.bits & 1023;
  const double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return static_cast<float>((x.bits & 0x8000) != 0 ? -magnitude : magnitude);
}

Rows widened(const Half* numbers, std::size_t n) {
  Rows wide(n);
  std::transform(numbers, numbers + n, wide.begin(), [](Half x) { return widened(x); });
  return wide;
}

/// The layer of x [rows, in], in fp32 or int8.
Rows linear(Rows x, const LinearWeights& w, Precision precision, Activation activation = Activation::none) {
  const std::size_t rows = x.size() / w.in;
  const std::size_t computed = std::max(rows, kLeastRows);
  x.resize(computed * w.in);
  const Rows bias = widened(w.bias, w.out);
  Rows y(computed * w.out);
  if (precision == Precision::int8) {
    const std::size_t depth = int8_depth(w.in);
    std::vector<std::int8_t> quantized(w.out * w.in);
    Rows scales(w.out);
    Rows row_sums(w.out);
    kernels().quantize_weight(w.weight, w.out, w.in, quantized.data(), scales.data(), row_sums.data());
    std::vector<std::int8_t> weight(kernels().packed_weight_size(w.out, depth));
    kernels().pack_int8_weight(quantized.data(), w.out, w.in, weight.data());
    std::vector<std::uint8_t> q(computed * depth);
    std::vector<RowQuantization> quantization(computed);
    kernels().quantize_rows(x.data(), computed, w.in, q.data(), depth, quantization.data());
    kernels().multiply_int8({q.data(), quantization.data(), computed, w.in, w.out, weight.data(), scales.data(),
                             row_sums.data(), bias.data(), activation, y.data()});
  } else {
    std::vector<Half> weight(kernels().packed_weight_size(w.out, w.in));
    kernels().pack_weight(w.weight, w.out, w.in, weight.data());
    Rows scratch(kernels().product_scratch(w.in));
    kernels().multiply(
        {x.data(), computed, w.in, w.out, weight.data(), bias.data(), activation, scratch.data(), y.data()});
  }
  y.resize(rows * w.out);
  return y;
}

Rows add_norm(const Rows& x, const Rows& y, const NormWeights& w) {
  Rows out(x.size());
  kernels().add_norm_fp32(x.data(), y.data(), x.size() / w.size, w.size, widened(w.weight, w.size).data(),
                          widened(w.bias, w.size).data(), w.epsilon, out.data());
  return out;
}

/// Attention of the first `queries` rows to all rows of x [rows, width].
Rows attention(const Rows& x, std::size_t queries, const LayerWeights& w, Precision precision) {
  const std::size_t width = w.out.in;
  const std::size_t rows = x.size() / width;
  const bool last = w.query.weight != nullptr;
  const Rows projected = linear(x, w.projection, precision);
  const Rows first(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(width));
  const Rows queried = last ? linear(first, w.query, precision) : projected;
  std::vector<const float*> query;
  std::vector<const float*> key;
  for (std::size_t i = 0; i < rows; ++i) key.push_back(projected.data() + i * w.projection.out + (last ? 0 : width));
  for (std::size_t i = 0; i < queries; ++i) query.push_back(queried.data() + i * (last ? width : w.projection.out));
  Rows scratch(kernels().attention_scratch(rows, width / w.heads));
  Rows context(queries * width);
  const auto attend = precision == Precision::int8 ? kernels().attend_rounded : kernels().attend_fp32;
  attend({query.data(), queries, key.data(), rows, w.heads, width / w.heads, scratch.data(), context.data()});
  return context;
}

class StandIn : public Model {
 public:
  StandIn(const FileBytes& file, const TorchModelOptions& options)
      : file_(file),
        precision_(options.precision),
        weights_(read_distilbert_weights(file_, {options.labels, options.vocab_size, options.max_tokens})) {}

  std::size_t labels() const override { return weights_.classifier.out; }

  std::vector<float> forward(const Batch& batch) const override {
    std::vector<float> logits;
    std::size_t begin = 0;
    for (const std::int64_t length : batch.lengths) {
      const Rows row = window(batch, begin, static_cast<std::size_t>(length));
      logits.insert(logits.end(), row.begin(), row.end());
      begin += static_cast<std::size_t>(length);
    }
    if (!std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); })) {
      throw Error(ErrorKind::model, file_.path + ": cannot be run: its logits are not all finite numbers");
    }
    return logits;
  }

 private:
  Rows window(const Batch& batch, std::size_t begin, std::size_t length) const {
    const std::size_t width = weights_.norm.size;
    const auto look_up = [&](const EmbeddingWeights& table, const std::vector<std::int64_t>& indices) {
      Rows rows;
      for (std::size_t i = begin; i < begin + length; ++i) {
        const Rows found = widened(table.weight + static_cast<std::size_t>(indices.at(i)) * width, width);
        rows.insert(rows.end(), found.begin(), found.end());
      }
      return rows;
    };
    Rows x = add_norm(look_up(weights_.word_embeddings, batch.ids),
                      look_up(weights_.position_embeddings, batch.positions), weights_.norm);
    for (const LayerWeights& layer : weights_.layers) {
      const std::size_t queries = layer.query.weight != nullptr ? 1 : length;
      const Rows context = attention(x, queries, layer, precision_);
      x.resize(queries * width);
      x = add_norm(linear(context, layer.out, precision_), x, layer.norm1);
      x = add_norm(linear(linear(x, layer.up, precision_, layer.activation), layer.down, precision_), x, layer.norm2);
    }
    return linear(linear(x, weights_.pre_classifier, Precision::fp32, Activation::relu), weights_.classifier,
                  Precision::fp32);
  }

  FileBytes file_;
  Precision precision_;
  DistilBertWeights weights_;
};

/// A traced model, of which only the archive is looked at.
class Traced : public Model {
 public:
  Traced(const FileBytes& file, const TorchModelOptions& options) : labels_(options.labels == 0 ? 2 : options.labels) {
    const TorchArchive bounded(file.bytes, file.path);
  }

  std::size_t labels() const override { return labels_; }

  std::vector<float> forward(const Batch& batch) const override { return Rows(batch.lengths.size() * labels_); }

 private:
  std::size_t labels_;
};

}  // namespace

std::unique_ptr<Model> load_torch_model(const FileBytes& file, const TorchModelOptions& options) {
  ++loaded;
  if (options.interface == ModelInterface::native) return std::make_unique<StandIn>(file, options);
  return std::make_unique<Traced>(file, options);
}

bool is_fast(Precision) { return true; }

namespace testing {

std::size_t models_loaded() { return loaded; }

}  // namespace testing
}  // namespace reviewrate
