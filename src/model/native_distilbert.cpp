// DistilBERT (https://arxiv.org/abs/1910.01108) as transformers computes it, with less work:
// - The windows' tokens lie one after another in a single row, with no padding. Only attention looks at the windows.
// - The classifier reads the first token alone, so the last layer computes keys and values for every token, but
//   everything after them for first tokens only.
// - A schedule may let only the most attended tokens of a long window go on, so that upper layers have fewer rows.
// - All but attention goes through a layer in blocks of rows, whose hidden rows stay in the cache, and which come in
//   few sizes: oneDNN, where products are its own, compiles one for each.
// Products are ours in fp32, where none is faster on AVX2 and weights stay fp16 in memory, and in int8, where what
// comes before and after them is done on the way. They are oneDNN's in bf16, and where the CPU has AMX in int8, too.
#include "native_distilbert.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "drop_tokens.h"
#include "kernels.h"

namespace reviewrate {
namespace {

using Scalars = c10::List<std::optional<at::Scalar>>;

/// The operator of that name, which libtorch has but no header declares.
template <typename Signature>
c10::TypedOperatorHandle<Signature> find_operator(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

/// oneDNN's linear layer on bf16.
at::Tensor onednn_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                         std::string_view activation) {
  static const auto linear =
      find_operator<at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view,
                               Scalars, std::optional<std::string_view>)>("mkldnn::_linear_pointwise");
  return linear.call(x, weight, bias, activation, Scalars(), "none");
}

at::Tensor onednn_weight(const at::Tensor& weight, std::int64_t rows) {
  static const auto reorder =
      find_operator<at::Tensor(const at::Tensor&, std::optional<std::int64_t>)>("mkldnn::_reorder_linear_weight");
  return reorder.call(weight, rows);
}

/// oneDNN's product of uint8 rows with int8 weights, scaled by the weights' scales: fp32 [n, out].
at::Tensor onednn_int8_product(const at::Tensor& q, const at::Tensor& weight, const at::Tensor& scales,
                               const at::Tensor& zero_points) {
  static const auto linear =
      find_operator<at::Tensor(at::Tensor, double, std::int64_t, at::Tensor, at::Tensor, at::Tensor,
                               std::optional<at::Tensor>, double, std::int64_t, std::optional<at::ScalarType>,
                               std::string_view, Scalars, std::string_view)>("onednn::qlinear_pointwise");
  // A zero point here would cost a third of the speed, and there is one for all rows: dequantize_products() adds each
  // row's.
  return linear.call(q, 1.0, 0, weight, scales, zero_points, std::nullopt, 1.0, 0, at::kFloat, "none", Scalars(), "");
}

at::Tensor onednn_int8_weight(const at::Tensor& weight, std::int64_t rows) {
  static const auto prepack =
      find_operator<at::Tensor(at::Tensor, std::optional<c10::List<std::int64_t>>)>("onednn::qlinear_prepack");
  return prepack.call(weight, c10::List<std::int64_t>({rows, weight.size(1)}));
}

at::Tensor int8_product(const at::Tensor& q, const at::Tensor& weight) {
  const at::Tensor ones = at::ones({weight.size(0)}, at::kFloat);
  return onednn_int8_product(q, onednn_int8_weight(weight, q.size(0)), ones, at::zeros_like(ones, at::kInt));
}

/// Whether 8-bit products are oneDNN's. It cannot be asked which instructions it takes, so a product tells: without AMX
/// and VNNI it would add up pairs of products in 16 bits, where values up to 255 saturate.
bool onednn_has_amx() {
  static const bool has = [] {
    if (!has_amx_int8()) return false;
    const at::Tensor q = at::full({16, 64}, 255, at::kByte);
    const at::Tensor product = int8_product(q, at::full({16, 64}, 127, at::kChar));
    return product.eq(255.0F * 127.0F * 64.0F).all().item<bool>();
  }();
  return has;
}

at::ScalarType tensor_type(Precision precision) { return precision == Precision::bf16 ? at::kBFloat16 : at::kFloat; }

/// The numbers as a tensor that does not own them.
at::Tensor view(const Half* numbers, at::IntArrayRef sizes) {
  // from_blob wants a mutable pointer; what is made of these is a copy.
  return at::from_blob(const_cast<Half*>(numbers), sizes, at::kHalf);
}

std::int64_t size(std::size_t n) { return static_cast<std::int64_t>(n); }

constexpr std::int64_t kBlockRows = 192;
constexpr std::int64_t kTailRows = 16;  ///< the last block has a multiple of these
static_assert(kTailRows >= static_cast<std::int64_t>(kLeastRows));

/// `rows`, and what the last block needs beyond them.
std::int64_t aligned(std::int64_t rows) { return (rows + kTailRows - 1) / kTailRows * kTailRows; }

/// Calls body(begin, rows) for each block of the rows.
template <typename Body>
void for_blocks(std::int64_t rows, const Body& body) {
  for (std::int64_t begin = 0; begin < rows; begin += kBlockRows) body(begin, std::min(kBlockRows, rows - begin));
}

/// The linear layer of x [rows, in], a tensor a block.
std::vector<at::Tensor> in_blocks(const Linear& layer, const at::Tensor& x) {
  std::vector<at::Tensor> blocks;
  for_blocks(x.size(0),
             [&](std::int64_t begin, std::int64_t rows) { blocks.push_back(layer(x.narrow(0, begin, rows))); });
  return blocks;
}

// What libtorch calls the kernels' types.
const Half* data(const at::Tensor& x, Half) { return reinterpret_cast<const Half*>(x.const_data_ptr<at::Half>()); }
const Bf16* data(const at::Tensor& x, Bf16) { return reinterpret_cast<const Bf16*>(x.const_data_ptr<at::BFloat16>()); }
const float* data(const at::Tensor& x, float) { return x.const_data_ptr<float>(); }
Half* mutable_data(at::Tensor& x, Half) { return reinterpret_cast<Half*>(x.mutable_data_ptr<at::Half>()); }
Bf16* mutable_data(at::Tensor& x, Bf16) { return reinterpret_cast<Bf16*>(x.mutable_data_ptr<at::BFloat16>()); }
float* mutable_data(at::Tensor& x, float) { return x.mutable_data_ptr<float>(); }

/// Pointers to the rows of blocks, from their column `column` on.
template <typename T>
std::vector<const T*> row_pointers(const std::vector<at::Tensor>& blocks, std::size_t column) {
  std::vector<const T*> rows;
  for (const at::Tensor& block : blocks) {
    const T* row = data(block, T()) + column;
    for (std::int64_t r = 0; r < block.size(0); ++r, row += block.size(1)) rows.push_back(row);
  }
  return rows;
}

/// Attention of each window to itself. Queries are the windows' rows, or, if `one_query`, one row a window; a key row
/// is followed by its value row. `context` [rows of queries or more, width] is written, and, unless it is null,
/// `received` [rows of keys], as Attention says.
template <typename T, typename Attend>
void attend(const std::vector<const T*>& queries, bool one_query, const std::vector<const T*>& keys,
            const std::vector<std::int64_t>& lengths, std::size_t heads, at::Tensor& context, float* received,
            Attend kernel) {
  thread_local std::vector<float> scratch;
  const auto width = static_cast<std::size_t>(context.size(1));
  const auto longest = static_cast<std::size_t>(*std::max_element(lengths.begin(), lengths.end()));
  scratch.resize(std::max(scratch.size(), kernels().attention_scratch(longest, width / heads)));
  const T* const* query = queries.data();
  const T* const* key = keys.data();
  T* out = mutable_data(context, T());
  for (const std::int64_t length : lengths) {
    const auto n = static_cast<std::size_t>(length);
    const std::size_t query_count = one_query ? 1 : n;
    kernel({query, query_count, key, n, heads, width / heads, scratch.data(), out, received});
    query += query_count;
    key += n;
    out += query_count * width;
    if (received != nullptr) received += n;
  }
}

}  // namespace

Linear::Linear(const LinearWeights& weights, Precision precision, Activation activation)
    : precision_(precision),
      activation_(activation),
      in_(size(weights.in)),
      out_(size(weights.out)),
      bias_(view(weights.bias, {out_}).to(tensor_type(precision))) {
  const auto [weight, bias, out, in] = weights;
  if (precision == Precision::bf16) {
    weight_ = onednn_weight(view(weight, {out_, in_}).to(at::kBFloat16), kBlockRows);
    return;
  }
  if (precision == Precision::fp32) {
    weight_ = at::empty({size(kernels().packed_weight_size(out, in))}, at::kHalf);
    kernels().pack_weight(weight, out, in, mutable_data(weight_, Half()));
    return;
  }
  at::Tensor quantized = at::empty({out_, in_}, at::kChar);
  scales_ = at::empty({out_}, at::kFloat);
  row_sums_ = at::empty({out_}, at::kFloat);
  kernels().quantize_weight(weight, out, in, quantized.mutable_data_ptr<std::int8_t>(),
                            scales_.mutable_data_ptr<float>(), row_sums_.mutable_data_ptr<float>());
  if (onednn_has_amx()) {
    weight_ = onednn_int8_weight(quantized, kBlockRows);
    zero_points_ = at::zeros_like(scales_, at::kInt);
  } else {
    weight_ = at::empty({size(kernels().packed_weight_size(out, int8_depth(in)))}, at::kChar);
    kernels().pack_int8_weight(quantized.const_data_ptr<std::int8_t>(), out, in,
                               weight_.mutable_data_ptr<std::int8_t>());
  }
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  if (precision_ == Precision::fp32) return fp32(x);
  if (precision_ == Precision::int8) return int8(x);
  constexpr std::string_view kNames[] = {"none", "relu", "gelu"};
  return onednn_linear(x, weight_, bias_, kNames[static_cast<std::size_t>(activation_)]);
}

at::Tensor Linear::fp32(const at::Tensor& x) const {
  const auto in = static_cast<std::size_t>(in_);
  at::Tensor scratch = at::empty({static_cast<std::int64_t>(kernels().product_scratch(in))}, at::kFloat);
  at::Tensor y = at::empty({x.size(0), out_}, at::kFloat);
  kernels().multiply({x.const_data_ptr<float>(), static_cast<std::size_t>(x.size(0)), in,
                      static_cast<std::size_t>(out_), data(weight_, Half()), bias_.const_data_ptr<float>(), activation_,
                      scratch.mutable_data_ptr<float>(), y.mutable_data_ptr<float>()});
  return y;
}

at::Tensor Linear::int8(const at::Tensor& x) const {
  const auto rows = static_cast<std::size_t>(x.size(0));
  const auto in = static_cast<std::size_t>(in_);
  const auto out = static_cast<std::size_t>(out_);
  const std::size_t depth = onednn_has_amx() ? in : int8_depth(in);
  const at::Tensor q = at::empty({x.size(0), static_cast<std::int64_t>(depth)}, at::kByte);
  std::vector<RowQuantization> quantization(rows);
  kernels().quantize_rows(x.const_data_ptr<float>(), rows, in, q.mutable_data_ptr<std::uint8_t>(), depth,
                          quantization.data());
  if (onednn_has_amx()) {
    at::Tensor y = onednn_int8_product(q, weight_, scales_, zero_points_);
    kernels().dequantize_products(y.mutable_data_ptr<float>(), rows, out, quantization.data(),
                                  row_sums_.const_data_ptr<float>(), bias_.const_data_ptr<float>(), activation_);
    return y;
  }
  at::Tensor y = at::empty({x.size(0), out_}, at::kFloat);
  kernels().multiply_int8({q.const_data_ptr<std::uint8_t>(), quantization.data(), rows, in, out,
                           weight_.const_data_ptr<std::int8_t>(), scales_.const_data_ptr<float>(),
                           row_sums_.const_data_ptr<float>(), bias_.const_data_ptr<float>(), activation_,
                           y.mutable_data_ptr<float>()});
  return y;
}

Norm::Norm(const NormWeights& weights)
    : weight_(view(weights.weight, {size(weights.size)}).to(at::kFloat)),
      bias_(view(weights.bias, {size(weights.size)}).to(at::kFloat)),
      epsilon_(weights.epsilon) {}

void Norm::operator()(const at::Tensor& x, const at::Tensor& y, at::Tensor& out) const {
  const auto call = [&](auto type, auto kernel) {
    kernel(data(x, type), data(y, type), static_cast<std::size_t>(x.size(0)), static_cast<std::size_t>(x.size(1)),
           weight_.const_data_ptr<float>(), bias_.const_data_ptr<float>(), epsilon_, mutable_data(out, type));
  };
  if (x.scalar_type() == at::kBFloat16) {
    call(Bf16(), kernels().add_norm_bf16);
  } else {
    call(float(), kernels().add_norm_fp32);
  }
}

Layer::Layer(const LayerWeights& weights, bool last, Precision precision)
    : heads_(weights.heads),
      rounded_(precision == Precision::int8),
      projection_(weights.projection, precision),
      out_(weights.out, precision),
      norm1_(weights.norm1),
      up_(weights.up, precision, weights.activation),
      down_(weights.down, precision),
      norm2_(weights.norm2) {
  if (last) query_.emplace(weights.query, precision);
}

at::Tensor Layer::operator()(const at::Tensor& x, const std::vector<std::int64_t>& lengths,
                             std::vector<std::int64_t>& kept) const {
  at::Tensor output = x;  // all rows, which are changed in place, or the windows' first
  if (query_) {
    std::vector<std::int64_t> begins(static_cast<std::size_t>(aligned(static_cast<std::int64_t>(lengths.size()))));
    std::exclusive_scan(lengths.begin(), lengths.end(), begins.begin(), std::int64_t{0});
    output = x.index_select(0, at::tensor(begins));
  }
  const std::vector<at::Tensor> projected = in_blocks(projection_, x);
  const std::vector<at::Tensor> queried = query_ ? in_blocks(*query_, output) : projected;
  const auto width = static_cast<std::size_t>(x.size(1));
  at::Tensor context = at::zeros(output.sizes(), output.options());
  const bool drops = !query_ && kept != lengths;
  std::vector<float> received(drops ? static_cast<std::size_t>(x.size(0)) : 0);
  const auto call = [&](auto type, auto kernel) {
    using T = decltype(type);
    attend<T>(row_pointers<T>(queried, 0), query_.has_value(), row_pointers<T>(projected, query_ ? 0 : width), lengths,
              heads_, context, drops ? received.data() : nullptr, kernel);
  };
  if (x.scalar_type() == at::kBFloat16) {
    call(Bf16(), kernels().attend_bf16);
  } else {
    call(float(), rounded_ ? kernels().attend_rounded : kernels().attend_fp32);
  }
  if (drops) {
    std::vector<std::int64_t> rows = most_attended(received, lengths, kept);
    rows.resize(static_cast<std::size_t>(aligned(size(rows.size()))));
    const at::Tensor chosen = at::tensor(rows);
    context = context.index_select(0, chosen);
    output = output.index_select(0, chosen);
  }
  return feed_forward(context, output);
}

at::Tensor Layer::feed_forward(const at::Tensor& context, at::Tensor x) const {
  for_blocks(x.size(0), [&](std::int64_t begin, std::int64_t rows) {
    at::Tensor block = x.narrow(0, begin, rows);
    at::Tensor attended = out_(context.narrow(0, begin, rows));
    norm1_(attended, block, attended);
    norm2_(down_(up_(attended)), attended, block);
  });
  return x;
}

NativeDistilBert::NativeDistilBert(const DistilBertWeights& weights, Precision precision, std::vector<double> keep)
    : type_(tensor_type(precision)),
      norm_(weights.norm),
      keep_(std::move(keep)),
      pre_classifier_(weights.pre_classifier, Precision::fp32, Activation::relu),
      classifier_(weights.classifier, Precision::fp32) {
  if (!keep_.empty() && keep_.size() + 1 != weights.layers.size()) {
    throw std::invalid_argument("it has " + std::to_string(weights.layers.size()) +
                                " layers, and the schedule a share for " + std::to_string(keep_.size()) +
                                ", not for each but the last");
  }
  const auto embeddings = [](const EmbeddingWeights& e) {
    return view(e.weight, {size(e.rows), size(e.width)}).clone();
  };
  word_embeddings_ = embeddings(weights.word_embeddings);
  position_embeddings_ = embeddings(weights.position_embeddings);
  for (const LayerWeights& layer : weights.layers) {
    layers_.emplace_back(layer, /*last=*/&layer == &weights.layers.back(), precision);
  }
}

at::Tensor NativeDistilBert::forward(const Batch& batch) const {
  // Rows beyond the windows' are looked up like any token, and never looked at.
  const auto rows = [&](const at::Tensor& table, std::vector<std::int64_t> indices) {
    indices.resize(static_cast<std::size_t>(aligned(static_cast<std::int64_t>(indices.size()))));
    return at::embedding(table, at::tensor(indices)).to(at::kFloat);
  };
  at::Tensor x = rows(word_embeddings_, batch.ids);
  norm_(x, rows(position_embeddings_, batch.positions), x);
  x = x.to(type_);
  std::vector<std::int64_t> lengths = batch.lengths;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    std::vector<std::int64_t> kept = lengths;
    if (l < keep_.size()) {
      for (std::size_t w = 0; w < kept.size(); ++w) kept[w] = kept_tokens(keep_[l], batch.lengths[w], lengths[w]);
    }
    x = layers_[l](x, lengths, kept);
    lengths = std::move(kept);
  }
  return classifier_(pre_classifier_(x.to(at::kFloat))).narrow(0, 0, static_cast<std::int64_t>(batch.lengths.size()));
}

}  // namespace reviewrate
