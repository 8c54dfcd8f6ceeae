// Loading and running TorchScript modules; see the header.
#include "reviewrate/torch_model.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>
#include <torch/version.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "kernels.h"
#include "native_distilbert.h"
#include "reviewrate/error.h"

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

class TorchModel : public Model {
 public:
  TorchModel(std::string path, const TorchModelOptions& options) : path_(std::move(path)), options_(options) {
    const RunSettings settings;
    // Not frozen: it runs no faster (measured on batches of 1,024 tokens), costs 10 ms at the start, and with
    // torch 2.13 an error inside a frozen module is a segmentation fault instead of an exception.
    guarded("cannot be loaded", [&] {
      module_ = torch::jit::load(path_, torch::kCPU, /*load_debug_files=*/false);
      if (options_.interface == ModelInterface::native) {
        native_.emplace(module_, options_.precision);
        module_ = {};
      } else {
        module_.eval();
        // Module::to() would turn integers, such as position ids, into floats as well.
        for (torch::Tensor weights : module_.parameters()) weights.set_data(widened(weights));
        for (torch::Tensor weights : module_.buffers()) weights.set_data(widened(weights));
        arguments_ = module_.get_method("forward").function().getSchema().arguments().size() - 1;
        if (arguments_ < 1 || arguments_ > 2) {
          throw std::invalid_argument("its forward() takes " + std::to_string(arguments_) +
                                      " arguments, not (input_ids) or (input_ids, attention_mask)");
        }
      }
    });
    check_limits();
  }

  std::size_t labels() const override { return options_.labels; }

  std::vector<float> forward(const Batch& batch) const override {
    const RunSettings settings;
    std::vector<float> logits;
    guarded("cannot be run", [&] {
      if (options_.interface == ModelInterface::native) {
        append_logits(native_->forward(batch), batch.lengths.size(), logits);
      } else {
        // One window a call: a trace may have the batch size of its example built in, and padding would be waste.
        std::size_t begin = 0;
        for (const std::int64_t length : batch.lengths) {
          append_logits(run_plain(batch, begin, length), 1, logits);
          begin += static_cast<std::size_t>(length);
        }
      }
    });
    return logits;
  }

 private:
  /// Runs `body`; whatever goes wrong in it becomes one Error that names the file.
  template <typename Body>
  void guarded(const char* what, const Body& body) const {
    try {
      body();
    } catch (const std::exception& e) {
      throw Error(ErrorKind::model, path_ + ": " + what + ": " + reason(e));
    }
  }

  /// `values` as an int64 tensor that does not own them.
  static torch::Tensor view(const std::int64_t* values, std::int64_t size) {
    // from_blob wants a mutable pointer; no operator of a module writes to its input.
    return torch::from_blob(const_cast<std::int64_t*>(values), {size}, torch::kLong);
  }

  static torch::Tensor widened(const torch::Tensor& weights) {
    return weights.is_floating_point() ? weights.to(torch::kFloat) : weights;
  }

  torch::Tensor run_plain(const Batch& batch, std::size_t begin, std::int64_t length) const {
    const torch::Tensor ids = view(batch.ids.data() + begin, length).unsqueeze(0);
    std::vector<torch::jit::IValue> inputs;
    inputs.emplace_back(ids);
    if (arguments_ == 2) inputs.emplace_back(torch::ones_like(ids));
    torch::jit::Module module = module_;
    torch::jit::IValue result = module.forward(std::move(inputs));
    if (result.isTuple()) result = result.toTupleRef().elements().at(0);
    if (result.isGenericDict()) result = result.toGenericDict().at("logits");
    return result.toTensor();
  }

  void append_logits(const torch::Tensor& tensor, std::size_t windows, std::vector<float>& logits) const {
    const torch::Tensor rows = tensor.to(torch::kFloat).contiguous();
    const bool fits = rows.dim() == 2 && rows.size(0) == static_cast<std::int64_t>(windows) && rows.size(1) > 0 &&
                      (options_.labels == 0 || rows.size(1) == static_cast<std::int64_t>(options_.labels));
    if (!fits) {
      throw std::invalid_argument("its logits are " + c10::str(rows.sizes()) + ", not [" + std::to_string(windows) +
                                  ", " + std::to_string(options_.labels) + "]");
    }
    const float* values = rows.const_data_ptr<float>();
    const float* end = values + rows.numel();
    if (!std::all_of(values, end, [](float value) { return std::isfinite(value); })) {
      throw std::range_error("its logits are not all finite numbers");
    }
    logits.insert(logits.end(), values, end);
  }

  /// Finds out now, and not at the first unlucky review, whether the model takes every token and the longest window.
  /// A trace tells only by being run; so it does how many labels it has.
  void check_limits() {
    if (options_.interface == ModelInterface::native) {
      const auto check = [&](const char* what, std::size_t wanted, std::size_t rows) {
        if (wanted <= rows) return;
        throw Error(ErrorKind::model, path_ + ": does not fit its package: " + what + ' ' + std::to_string(wanted) +
                                          ", the model has embeddings for " + std::to_string(rows));
      };
      check("the vocabulary's tokens are", options_.vocab_size, native_->vocab_size());
      check("max_tokens is", options_.max_tokens, native_->max_tokens());
      return;
    }
    Batch longest;
    longest.ids.assign(options_.max_tokens, static_cast<std::int64_t>(options_.vocab_size) - 1);
    for (std::size_t i = 0; i < options_.max_tokens; ++i) longest.positions.push_back(static_cast<std::int64_t>(i));
    longest.lengths = {static_cast<std::int64_t>(options_.max_tokens)};
    try {
      options_.labels = forward(longest).size();
    } catch (const Error& error) {
      throw Error(ErrorKind::model, std::string(error.what()) + " (tried with " + std::to_string(options_.max_tokens) +
                                        " times the last token of the vocabulary, " +
                                        std::to_string(options_.vocab_size - 1) + ")");
    }
  }

  std::string path_;
  TorchModelOptions options_;
  torch::jit::Module module_;               ///< of a traced model
  std::optional<NativeDistilBert> native_;  ///< of a native model
  std::size_t arguments_ = 0;
};

}  // namespace

std::unique_ptr<Model> load_torch_model(const std::string& path, const TorchModelOptions& options) {
  return std::make_unique<TorchModel>(path, options);
}

bool is_fast(Precision precision) {
#ifdef __x86_64__
  if (precision == Precision::bf16) return __builtin_cpu_supports("avx512bf16") != 0;
  if (precision == Precision::int8) return __builtin_cpu_supports("avx2") != 0;
#endif
  return precision == Precision::fp32;
}

std::string instruction_set() { return kernels().name; }

std::string torch_version() { return TORCH_VERSION; }

}  // namespace reviewrate
