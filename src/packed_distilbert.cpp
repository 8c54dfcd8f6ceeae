// DistilBERT (https://arxiv.org/abs/1910.01108) as transformers computes it, with less work:
// - The windows' tokens lie one after another in a single row, with no padding. Only attention looks at the windows.
// - The classifier reads the first token alone, so the last layer computes keys and values for every token, but
//   everything after them for first tokens only.
#include "packed_distilbert.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <numeric>
#include <string_view>

#include "rows.h"

namespace reviewrate {
namespace {

using Scalars = c10::List<std::optional<at::Scalar>>;

/// The operator of that name, which libtorch has but no header declares.
template <typename Signature>
c10::TypedOperatorHandle<Signature> find_operator(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

/// oneDNN's linear layer on fp32 and bf16: 10 % faster than MKL on AVX-512 processors of AMD, elsewhere the same.
at::Tensor onednn_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  static const auto linear =
      find_operator<at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view,
                               Scalars, std::optional<std::string_view>)>("mkldnn::_linear_pointwise");
  return linear.call(x, weight, bias, "none", Scalars(), "");
}

at::Tensor onednn_weight(const at::Tensor& weight, std::int64_t rows) {
  static const auto reorder = find_operator<at::Tensor(const at::Tensor&, std::optional<std::int64_t>)>(
      "mkldnn::_reorder_linear_weight");
  return reorder.call(weight, rows);
}

/// oneDNN's product of uint8 rows with int8 weights, scaled by the weights' scales: fp32 [n, out].
at::Tensor onednn_int8_product(const at::Tensor& q, const at::Tensor& weight, const at::Tensor& scales,
                               const at::Tensor& zero_points) {
  static const auto linear =
      find_operator<at::Tensor(at::Tensor, double, std::int64_t, at::Tensor, at::Tensor, at::Tensor,
                               std::optional<at::Tensor>, double, std::int64_t, std::optional<at::ScalarType>,
                               std::string_view, Scalars, std::string_view)>("onednn::qlinear_pointwise");
  // A zero point here would cost a third of the speed, and there is one for all rows: scale_rows() makes up for each.
  return linear.call(q, 1.0, 0, weight, scales, zero_points, std::nullopt, 1.0, 0, at::kFloat, "none", Scalars(), "");
}

at::Tensor onednn_int8_weight(const at::Tensor& weight, std::int64_t rows) {
  static const auto prepack = find_operator<at::Tensor(at::Tensor, std::optional<c10::List<std::int64_t>>)>(
      "onednn::qlinear_prepack");
  return prepack.call(weight, c10::List<std::int64_t>({rows, weight.size(1)}));
}

at::Tensor int8_product(const at::Tensor& q, const at::Tensor& weight) {
  const at::Tensor ones = at::ones({weight.size(0)}, at::kFloat);
  return onednn_int8_product(q, onednn_int8_weight(weight, q.size(0)), ones, at::zeros_like(ones, at::kInt));
}

/// How many levels above 0 activations may have. Without VNNI pairs of products are added up in 16 bits, where 255
/// levels saturate and 127 do not. Which instructions oneDNN takes is its own affair, so it is asked for a product.
int activation_levels() {
  static const int levels = [] {
    const at::Tensor q = at::full({16, 64}, 255, at::kByte);
    const at::Tensor product = int8_product(q, at::full({16, 64}, 127, at::kChar));
    return product.eq(255.0F * 127.0F * 64.0F).all().item<bool>() ? 255 : 127;
  }();
  return levels;
}

at::ScalarType tensor_type(Precision precision) { return precision == Precision::bf16 ? at::kBFloat16 : at::kFloat; }

at::Tensor parameter(const torch::jit::Module& module, const char* name) { return module.attr(name).toTensor(); }

Linear linear(const torch::jit::Module& parent, const char* name, Precision precision, std::int64_t rows) {
  const torch::jit::Module module = parent.attr(name).toModule();
  return {parameter(module, "weight"), parameter(module, "bias"), precision, rows};
}

/// Attention of each window to itself: queries, keys and values [1, heads, n, d] in, [rows of queries, heads * d] out.
at::Tensor attend(const std::vector<at::Tensor>& queries, const std::vector<at::Tensor>& keys,
                  const std::vector<at::Tensor>& values) {
  std::vector<at::Tensor> contexts;
  contexts.reserve(queries.size());
  for (std::size_t i = 0; i < queries.size(); ++i) {
    const auto [context, logsumexp] =
        at::_scaled_dot_product_flash_attention_for_cpu(queries[i], keys[i], values[i]);
    // The kernel writes [1, n, heads, d]; transposed back it is contiguous, so that cat is one plain copy.
    contexts.push_back(context.transpose(1, 2));
  }
  return at::cat(contexts, 1).flatten(2)[0];
}

constexpr std::int64_t kPackRows = 1024;
constexpr std::int64_t kFirstRows = 16;  ///< first tokens in a pack, roughly

}  // namespace

Linear::Linear(const at::Tensor& weight, const at::Tensor& bias, Precision precision, std::int64_t rows)
    : precision_(precision), bias_(bias.to(tensor_type(precision))) {
  const at::Tensor wide = weight.to(tensor_type(precision));
  if (precision != Precision::int8) {
    weight_ = onednn_weight(wide, rows);
    return;
  }
  scales_ = wide.abs().amax(1).clamp_min_(1e-12).div_(127.0);
  zero_points_ = at::zeros_like(scales_, at::kInt);
  const at::Tensor q = wide.div_(scales_.unsqueeze(1)).round_();
  sums_ = q.sum(1).mul_(scales_);
  weight_ = onednn_int8_weight(q.to(at::kChar), rows);
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  return precision_ == Precision::int8 ? quantized(x) : onednn_linear(x, weight_, bias_);
}

at::Tensor Linear::quantized(const at::Tensor& x) const {
  const auto rows = static_cast<std::size_t>(x.size(0));
  const auto columns = static_cast<std::size_t>(x.size(1));
  const at::Tensor q = at::empty(x.sizes(), at::kByte);
  std::vector<RowScale> scales(rows);
  quantize_rows(x.const_data_ptr<float>(), rows, columns, activation_levels(), q.mutable_data_ptr<std::uint8_t>(),
                scales.data());
  at::Tensor y = onednn_int8_product(q, weight_, scales_, zero_points_);
  scale_rows(y.mutable_data_ptr<float>(), rows, static_cast<std::size_t>(y.size(1)), scales.data(),
             sums_.const_data_ptr<float>(), bias_.const_data_ptr<float>());
  return y;
}

Norm::Norm(const torch::jit::Module& module, at::ScalarType type)
    : weight_(parameter(module, "weight").to(type)),
      bias_(parameter(module, "bias").to(type)),
      epsilon_(module.attr("eps").toDouble()) {}

at::Tensor Norm::operator()(const at::Tensor& x) const {
  return at::layer_norm(x, {x.size(1)}, weight_, bias_, epsilon_);
}

Layer::Layer(const torch::jit::Module& module, bool last, Precision precision)
    : heads_(module.attr("heads").toInt()),
      projection_(linear(module, last ? "kv" : "qkv", precision, kPackRows)),
      out_(linear(module.attr("rest").toModule(), "out", precision, last ? kFirstRows : kPackRows)),
      norm1_(module.attr("rest").toModule().attr("norm1").toModule(), tensor_type(precision)),
      up_(linear(module.attr("rest").toModule(), "up", precision, last ? kFirstRows : kPackRows)),
      down_(linear(module.attr("rest").toModule(), "down", precision, last ? kFirstRows : kPackRows)),
      norm2_(module.attr("rest").toModule().attr("norm2").toModule(), tensor_type(precision)),
      relu_(module.attr("rest").toModule().attr("relu").toBool()) {
  if (last) query_ = linear(module, "q", precision, kFirstRows);
}

at::Tensor Layer::operator()(const at::Tensor& x, const std::vector<std::int64_t>& lengths) const {
  // [parts, 1, heads, T, d]: views, no copies, since the attention kernel takes strided heads.
  const auto split = [&](const at::Tensor& projected, std::int64_t parts) {
    return projected.view({1, projected.size(0), parts, heads_, -1}).permute({2, 0, 3, 1, 4});
  };
  if (!query_) {
    const at::Tensor qkv = split(projection_(x), 3);
    const at::Tensor context = attend(qkv[0].split_with_sizes(lengths, 2), qkv[1].split_with_sizes(lengths, 2),
                                      qkv[2].split_with_sizes(lengths, 2));
    return feed_forward(context, x);
  }
  std::vector<std::int64_t> begins(lengths.size());
  std::exclusive_scan(lengths.begin(), lengths.end(), begins.begin(), std::int64_t{0});
  const at::Tensor first = x.index_select(0, at::tensor(begins));
  const at::Tensor kv = split(projection_(x), 2);
  const at::Tensor context = attend(split((*query_)(first), 1)[0].split(1, 2), kv[0].split_with_sizes(lengths, 2),
                                    kv[1].split_with_sizes(lengths, 2));
  return feed_forward(context, first);
}

at::Tensor Layer::feed_forward(const at::Tensor& context, const at::Tensor& x) const {
  const at::Tensor attended = norm1_(out_(context).add_(x));
  at::Tensor hidden = up_(attended);
  if (relu_) {
    hidden.relu_();
  } else {
    at::gelu_(hidden);
  }
  return norm2_(down_(hidden).add_(attended));
}

PackedDistilBert::PackedDistilBert(const torch::jit::Module& module, Precision precision)
    : type_(tensor_type(precision)),
      words_(parameter(module, "words")),
      places_(parameter(module, "places")),
      norm_(module.attr("norm").toModule(), type_),
      pre_classifier_(linear(module, "pre_classifier", Precision::fp32, kFirstRows)),
      classifier_(linear(module, "classifier", Precision::fp32, kFirstRows)) {
  for (const torch::jit::Module& layer : module.attr("layers").toModule().children()) {
    layers_.emplace_back(layer, /*last=*/false, precision);
  }
  layers_.emplace_back(module.attr("last").toModule(), /*last=*/true, precision);
}

at::Tensor PackedDistilBert::forward(const Pack& pack) const {
  // from_blob wants a mutable pointer; no operator writes to its input.
  const auto view = [](const std::vector<std::int64_t>& values) {
    return at::from_blob(const_cast<std::int64_t*>(values.data()), {static_cast<std::int64_t>(values.size())},
                         at::kLong);
  };
  at::Tensor x = at::embedding(words_, view(pack.ids)).to(at::kFloat).add_(at::embedding(places_, view(pack.positions)));
  x = norm_(x.to(type_));
  for (const Layer& layer : layers_) x = layer(x, pack.lengths);
  return classifier_(pre_classifier_(x.to(at::kFloat)).relu_());
}

}  // namespace reviewrate
