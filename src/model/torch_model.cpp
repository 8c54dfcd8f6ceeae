// Loading and running TorchScript modules; see the header.
#include "reviewrate/torch_model.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <caffe2/serialize/in_memory_adapter.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>
#include <torch/version.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <utility>

#include "kernels.h"
#include "native_distilbert.h"
#include "reviewrate/error.h"
#include "torch_archive.h"

namespace reviewrate {
namespace {

/// The first line of what libtorch says, without its backtrace.
std::string reason(const std::exception& e) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&e);
  std::string text = torch_error != nullptr ? torch_error->what_without_backtrace() : e.what();
  text.erase(0, text.find_first_not_of('\n'));
  // An error inside a module is told in several lines, of which the last one that begins a sentence says what it is.
  const std::size_t cause = text.rfind("RuntimeError: ");
  const std::size_t begin = cause == std::string::npos ? 0 : cause;
  return text.substr(begin, text.find('\n', begin) - begin);
}

/// What libtorch keeps for each thread while it runs a module; cheap when it is set already.
class RunSettings {
 public:
  RunSettings() {
    thread_local const bool once = [] {
      at::set_num_threads(1);  // the workers share the cores already
      // Unoptimized: the first calls cost 40 ms rather than 160 and later ones no more (the linear layers take the
      // time).
      torch::jit::setGraphExecutorOptimize(false);
      return true;
    }();
    static_cast<void>(once);
  }

 private:
  c10::InferenceMode inference_mode_;
};

/// What native and traced models have in common: the file that errors name, and the checks of logits.
class TorchModel : public Model {
 public:
  TorchModel(std::string path, std::size_t labels) : path_(std::move(path)), labels_(labels) {}

  std::size_t labels() const override { return labels_; }

  std::vector<float> forward(const Batch& batch) const override {
    const RunSettings settings;
    std::vector<float> logits;
    guarded("cannot be run", [&] { append_logits(batch, logits); });
    return logits;
  }

 protected:
  /// The logits of all windows, in order.
  virtual void append_logits(const Batch& batch, std::vector<float>& logits) const = 0;

  /// Runs `body`; whatever goes wrong in it becomes one Error that names the file.
  template <typename Body>
  void guarded(const char* what, const Body& body) const {
    try {
      body();
    } catch (const std::exception& e) {
      throw Error(ErrorKind::model, path_ + ": " + what + ": " + reason(e));
    }
  }

  void append(const torch::Tensor& tensor, std::size_t windows, std::vector<float>& logits) const {
    const torch::Tensor rows = tensor.to(torch::kFloat).contiguous();
    const bool fits = rows.dim() == 2 && rows.size(0) == static_cast<std::int64_t>(windows) && rows.size(1) > 0 &&
                      (labels_ == 0 || rows.size(1) == static_cast<std::int64_t>(labels_));
    if (!fits) {
      throw std::invalid_argument("its logits are " + c10::str(rows.sizes()) + ", not [" + std::to_string(windows) +
                                  ", " + std::to_string(labels_) + "]");
    }
    const float* values = rows.const_data_ptr<float>();
    const float* end = values + rows.numel();
    if (!std::all_of(values, end, [](float value) { return std::isfinite(value); })) {
      throw std::range_error("its logits are not all finite numbers");
    }
    logits.insert(logits.end(), values, end);
  }

  std::string path_;
  std::size_t labels_;
};

class NativeModel : public TorchModel {
 public:
  NativeModel(const FileBytes& file, const TorchModelOptions& options) : TorchModel(file.path, options.labels) {
    const RunSettings settings;
    const DistilBertWeights weights =
        read_distilbert_weights(file, {options.labels, options.vocab_size, options.max_tokens});
    guarded("cannot be loaded", [&] { network_.emplace(weights, options.precision, options.keep); });
  }

 private:
  void append_logits(const Batch& batch, std::vector<float>& logits) const override {
    append(network_->forward(batch), batch.lengths.size(), logits);
  }

  std::optional<NativeDistilBert> network_;
};

class TracedModel : public TorchModel {
 public:
  TracedModel(const FileBytes& file, const TorchModelOptions& options) : TorchModel(file.path, options.labels) {
    const RunSettings settings;
    const TorchArchive bounded(file.bytes, file.path);
    // Not frozen: it runs no faster (measured on batches of 1,024 tokens), costs 10 ms at the start, and with
    // torch 2.13 an error inside a frozen module is a segmentation fault instead of an exception.
    guarded("cannot be loaded", [&] {
      module_ = torch::jit::load(std::make_shared<caffe2::serialize::MemoryReadAdapter>(
                                     file.bytes.data(), static_cast<off_t>(file.bytes.size())),
                                 torch::kCPU, /*load_debug_files=*/false);
      module_.eval();
      // Module::to() would turn integers, such as position ids, into floats as well.
      for (torch::Tensor weights : module_.parameters()) weights.set_data(widened(weights));
      for (torch::Tensor weights : module_.buffers()) weights.set_data(widened(weights));
      arguments_ = module_.get_method("forward").function().getSchema().arguments().size() - 1;
      if (arguments_ < 1 || arguments_ > 2) {
        throw std::invalid_argument("its forward() takes " + std::to_string(arguments_) +
                                    " arguments, not (input_ids) or (input_ids, attention_mask)");
      }
    });
    check_limits(options.vocab_size, options.max_tokens);
  }

 private:
  static torch::Tensor widened(const torch::Tensor& weights) {
    return weights.is_floating_point() ? weights.to(torch::kFloat) : weights;
  }

  void append_logits(const Batch& batch, std::vector<float>& logits) const override {
    // One window a call: a trace may have the batch size of its example built in, and padding would be waste.
    const std::int64_t* ids = batch.ids.data();
    for (const std::int64_t length : batch.lengths) {
      append(run(ids, length), 1, logits);
      ids += length;
    }
  }

  torch::Tensor run(const std::int64_t* window, std::int64_t length) const {
    // from_blob wants a mutable pointer; no operator of a module writes to its input.
    const torch::Tensor ids = torch::from_blob(const_cast<std::int64_t*>(window), {1, length}, torch::kLong);
    std::vector<torch::jit::IValue> inputs;
    inputs.emplace_back(ids);
    if (arguments_ == 2) inputs.emplace_back(torch::ones_like(ids));
    torch::jit::Module module = module_;
    torch::jit::IValue result = module.forward(std::move(inputs));
    if (result.isTuple()) result = result.toTupleRef().elements().at(0);
    if (result.isGenericDict()) result = result.toGenericDict().at("logits");
    return result.toTensor();
  }

  /// Finds out now, and not at the first unlucky review, whether the model takes every token and the longest window. A
  /// trace tells only by being run; so it does how many labels it has.
  void check_limits(std::size_t vocab_size, std::size_t max_tokens) {
    Batch longest;
    longest.ids.assign(max_tokens, static_cast<std::int64_t>(vocab_size) - 1);
    longest.lengths = {static_cast<std::int64_t>(max_tokens)};
    try {
      labels_ = forward(longest).size();
    } catch (const Error& error) {
      throw Error(ErrorKind::model, std::string(error.what()) + " (tried with " + std::to_string(max_tokens) +
                                        " times the last token of the vocabulary, " + std::to_string(vocab_size - 1) +
                                        "; --model-max-tokens says that a bare file takes fewer)");
    }
  }

  torch::jit::Module module_;
  std::size_t arguments_ = 0;
};

}  // namespace

std::unique_ptr<Model> load_torch_model(const FileBytes& file, const TorchModelOptions& options) {
  if (options.interface == ModelInterface::native) return std::make_unique<NativeModel>(file, options);
  return std::make_unique<TracedModel>(file, options);
}

bool is_fast(Precision precision) {
  if (precision == Precision::int8) return kernels().int8_is_fast;
#ifdef __x86_64__
  if (precision == Precision::bf16) return __builtin_cpu_supports("avx512bf16") != 0;
#endif
  return precision == Precision::fp32;
}

std::string instruction_set() { return kernels().name; }

std::string torch_version() { return TORCH_VERSION; }

}  // namespace reviewrate
