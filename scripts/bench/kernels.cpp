// Times the program's own matrix products beside oneDNN's, in turn in one process: the linear layers of both shapes of
// the bench, a block of 192 rows as the model has them, bias and activation with them.
//
//     ninja -C build kernel_bench && build/kernel_bench [THREADS]
//
// oneDNN's 8-bit product is followed by dequantize_products(), which is how the model uses it on CPUs with AMX: a
// scale and an offset for each row are nothing that oneDNN has. Each figure is over all threads, which multiply
// matrices of their own.
#include "model/kernels.h"

#include <malloc.h>
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

namespace {

using reviewrate::Activation;
using reviewrate::Half;
using reviewrate::kernels;
using reviewrate::RowQuantization;
using Scalars = c10::List<std::optional<at::Scalar>>;
using Call = std::function<at::Tensor()>;

constexpr std::int64_t kRows = 192;
constexpr int kRounds = 9;
constexpr double kSeconds = 0.15;  // of each measurement

struct Shape {
  const char* name;
  std::int64_t out;
  std::int64_t in;
  Activation activation;
};

constexpr Shape kShapes[] = {
    {"query, key, value 384", 3 * 384, 384, Activation::none},
    {"out 384", 384, 384, Activation::none},
    {"up 384", 1536, 384, Activation::gelu},
    {"down 384", 384, 1536, Activation::none},
    {"query, key, value 768", 3 * 768, 768, Activation::none},
    {"out 768", 768, 768, Activation::none},
    {"up 768", 3072, 768, Activation::gelu},
    {"down 768", 768, 3072, Activation::none},
};

template <typename Signature>
c10::TypedOperatorHandle<Signature> find_operator(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

std::size_t unsigned_size(std::int64_t n) { return static_cast<std::size_t>(n); }

const Half* halves(const at::Tensor& x) { return reinterpret_cast<const Half*>(x.const_data_ptr<at::Half>()); }

/// The same product by both ways; ours first.
struct Ways {
  Call ours;
  Call onednn;
};

Ways fp32(const Shape& shape) {
  const at::Tensor x = at::randn({kRows, shape.in});
  const at::Tensor weight = at::randn({shape.out, shape.in}).mul(0.05).to(at::kHalf);
  const at::Tensor bias = at::randn({shape.out});
  const std::size_t out = unsigned_size(shape.out);
  const std::size_t in = unsigned_size(shape.in);
  at::Tensor packed = at::empty({static_cast<std::int64_t>(kernels().packed_weight_size(out, in))}, at::kHalf);
  kernels().pack_weight(halves(weight), out, in, reinterpret_cast<Half*>(packed.mutable_data_ptr<at::Half>()));
  const auto ours = [=] {
    at::Tensor scratch = at::empty({static_cast<std::int64_t>(kernels().product_scratch(in))}, at::kFloat);
    at::Tensor y = at::empty({kRows, shape.out}, at::kFloat);
    kernels().multiply({x.const_data_ptr<float>(), unsigned_size(kRows), in, out, halves(packed),
                        bias.const_data_ptr<float>(), shape.activation, scratch.mutable_data_ptr<float>(),
                        y.mutable_data_ptr<float>()});
    return y;
  };
  const at::Tensor reordered =
      find_operator<at::Tensor(const at::Tensor&, std::optional<std::int64_t>)>("mkldnn::_reorder_linear_weight")
          .call(weight.to(at::kFloat), kRows);
  const auto linear =
      find_operator<at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view,
                               Scalars, std::optional<std::string_view>)>("mkldnn::_linear_pointwise");
  const char* activation = shape.activation == Activation::gelu ? "gelu" : "none";
  return {ours, [=] { return linear.call(x, reordered, bias, activation, Scalars(), "none"); }};
}

Ways int8(const Shape& shape) {
  const std::size_t out = unsigned_size(shape.out);
  const std::size_t in = unsigned_size(shape.in);
  const at::Tensor x = at::randn({kRows, shape.in});
  const at::Tensor weight = at::randn({shape.out, shape.in}).mul(0.05).to(at::kHalf);
  const at::Tensor bias = at::randn({shape.out});
  at::Tensor q = at::empty({kRows, shape.in}, at::kByte);  // these shapes need no zeros at a row's end
  std::vector<RowQuantization> quantization(unsigned_size(kRows));
  kernels().quantize_rows(x.const_data_ptr<float>(), unsigned_size(kRows), in, q.mutable_data_ptr<std::uint8_t>(), in,
                          quantization.data());
  at::Tensor quantized = at::empty({shape.out, shape.in}, at::kChar);
  at::Tensor scales = at::empty({shape.out}, at::kFloat);
  at::Tensor row_sums = at::empty({shape.out}, at::kFloat);
  kernels().quantize_weight(halves(weight), out, in, quantized.mutable_data_ptr<std::int8_t>(),
                            scales.mutable_data_ptr<float>(), row_sums.mutable_data_ptr<float>());
  at::Tensor packed = at::empty({static_cast<std::int64_t>(kernels().packed_weight_size(out, in))}, at::kChar);
  kernels().pack_int8_weight(quantized.const_data_ptr<std::int8_t>(), out, in, packed.mutable_data_ptr<std::int8_t>());
  const auto ours = [=] {
    at::Tensor y = at::empty({kRows, shape.out}, at::kFloat);
    kernels().multiply_int8({q.const_data_ptr<std::uint8_t>(), quantization.data(), unsigned_size(kRows), in, out,
                             packed.const_data_ptr<std::int8_t>(), scales.const_data_ptr<float>(),
                             row_sums.const_data_ptr<float>(), bias.const_data_ptr<float>(), shape.activation,
                             y.mutable_data_ptr<float>()});
    return y;
  };
  const at::Tensor reordered =
      find_operator<at::Tensor(at::Tensor, std::optional<c10::List<std::int64_t>>)>("onednn::qlinear_prepack")
          .call(quantized, c10::List<std::int64_t>({kRows, shape.in}));
  const auto linear =
      find_operator<at::Tensor(at::Tensor, double, std::int64_t, at::Tensor, at::Tensor, at::Tensor,
                               std::optional<at::Tensor>, double, std::int64_t, std::optional<at::ScalarType>,
                               std::string_view, Scalars, std::string_view)>("onednn::qlinear_pointwise");
  const at::Tensor zero_points = at::zeros_like(scales, at::kInt);
  const auto onednn = [=] {
    at::Tensor y =
        linear.call(q, 1.0, 0, reordered, scales, zero_points, std::nullopt, 1.0, 0, at::kFloat, "none", Scalars(), "");
    kernels().dequantize_products(y.mutable_data_ptr<float>(), unsigned_size(kRows), out, quantization.data(),
                                  row_sums.const_data_ptr<float>(), bias.const_data_ptr<float>(), shape.activation);
    return y;
  };
  return {ours, onednn};
}

/// Calls a second by all threads together.
double rate(const std::vector<Ways>& ways, Call Ways::*way) {
  std::vector<double> rates(ways.size());
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < ways.size(); ++t) {
    threads.emplace_back([&, t] {
      at::set_num_threads(1);  // OpenMP has a number for each thread that calls
      using Clock = std::chrono::steady_clock;
      const auto begin = Clock::now();
      std::size_t calls = 0;
      std::chrono::duration<double> passed{};
      for (; passed.count() < kSeconds; passed = Clock::now() - begin) {
        (ways[t].*way)();
        ++calls;
      }
      rates[t] = static_cast<double>(calls) / passed.count();
    });
  }
  double sum = 0;
  for (std::size_t t = 0; t < ways.size(); ++t) {
    threads[t].join();
    sum += rates[t];
  }
  return sum;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// A line of the table; false if the two ways disagree.
bool measure(const char* precision, const Shape& shape, std::size_t threads, Ways (*make)(const Shape&)) {
  std::vector<Ways> ways;
  for (std::size_t t = 0; t < threads; ++t) ways.push_back(make(shape));
  const at::Tensor y = ways[0].onednn();
  const double error = (ways[0].ours() - y).abs().max().item<double>() / y.abs().max().item<double>();
  std::vector<double> ours;
  std::vector<double> onednn;
  std::vector<double> ratios;
  for (int round = 0; round < kRounds; ++round) {
    ours.push_back(rate(ways, &Ways::ours));
    onednn.push_back(rate(ways, &Ways::onednn));
    ratios.push_back(ours.back() / onednn.back());
  }
  const double operations = 2e-9 * static_cast<double>(kRows * shape.out * shape.in);
  const auto [low, high] = std::minmax_element(ratios.begin(), ratios.end());
  std::printf("| %s | %s | %.0f | %.0f | %.2f (%.2f-%.2f) |\n", precision, shape.name, median(ours) * operations,
              median(onednn) * operations, median(ratios), *low, *high);
  std::fflush(stdout);
  if (error < 1e-4) return true;
  std::fprintf(stderr, "kernel_bench: %s, %s: the results differ by %g of the greatest\n", precision, shape.name,
               error);
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t threads = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : std::thread::hardware_concurrency();
  if (threads == 0) return std::fputs("usage: kernel_bench [THREADS]\n", stderr), 2;
  at::set_num_threads(1);
  // What a result took is kept for the next one, as in the program; else each would be written to new pages.
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_THRESHOLD, 1 << 28);
  mallopt(M_TRIM_THRESHOLD, 1 << 28);
  const at::InferenceMode inference;
  std::printf("%s, %zu threads, GFLOP/s\n\n| | layer | own | oneDNN | own over oneDNN |\n|---|---|--:|--:|--:|\n",
              kernels().name, threads);
  bool same = true;
  for (const Shape& shape : kShapes) same = measure("fp32", shape, threads, fp32) && same;
  for (const Shape& shape : kShapes) same = measure("int8", shape, threads, int8) && same;
  return same ? 0 : 1;
}
