// From the name of a model to everything that classifying needs: its manifest, a tokenizer and a model, checked.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "reviewrate/manifest.h"
#include "reviewrate/model.h"
#include "reviewrate/precision.h"
#include "reviewrate/tokenizer.h"

namespace reviewrate {

/// Which model, as the command line names it.
struct ModelChoice {
  std::string model;                 ///< a package's folder or name, or a TorchScript file; empty: the default package
  std::string vocab;                 ///< of a bare TorchScript file
  std::string precision = "fp32";    ///< or bf16, int8, auto
  std::string effort = kFullEffort;  ///< or a schedule of the package

  // What the file does not tell of a bare TorchScript module.
  bool cased = false;                          ///< its vocabulary knows capital letters
  std::vector<std::string> labels = {};        ///< in the order of the logits; empty: the usual two, or numbered
  std::optional<std::size_t> max_tokens = {};  ///< the longest input; empty: 512
};

/// A model that is ready to use. It was made of bytes that have the checksums that the manifest states.
struct Package {
  Manifest manifest;
  Precision precision = Precision::fp32;
  std::string effort = kFullEffort;
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<Model> model;
  bool runs_unverified_code = false;  ///< a TorchScript program whose bytes no manifest vouches for
};

/// Finds the manifest of `choice`, or makes one up for a bare TorchScript file; of that only `choice` can tell the
/// labels before the file is loaded. The default package is what the environment variable REVIEWRATE_MODEL names, else
/// imdb-small. A name that is no file or folder is looked for among the packages beside the program, then in the
/// folders of REVIEWRATE_MODEL_PATH. Throws Error(usage, model).
Manifest find_manifest(const ModelChoice& choice);

/// The tokenizer of the package. Throws Error(model).
std::unique_ptr<Tokenizer> open_tokenizer(const Manifest& manifest);

/// Opens the package of `choice`. Throws Error(usage) where model or CPU are not made for the precision that is asked
/// for or the model has no schedule of the effort's name, Error(model) where a file is missing, damaged or does not fit
/// the others.
Package open_package(const ModelChoice& choice);

/// The model file's SHA-256: what the manifest states, or that of a bare file. Throws Error(model).
std::string model_sha256(const Manifest& manifest);

}  // namespace reviewrate
