// A model package's manifest.json: what the package holds and how it is to be used (models/README.md).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "reviewrate/batch.h"
#include "reviewrate/file.h"
#include "reviewrate/precision.h"
#include "reviewrate/rating.h"
#include "reviewrate/unigram.h"

namespace reviewrate {

/// A file of the package, by its path, and the SHA-256 it must have (64 hex digits; empty: not checked).
struct PackageFile {
  std::string path;
  std::string sha256;
};

/// How the TorchScript module takes its input.
enum class ModelInterface {
  native,  ///< a DistilBERT's weights, by the names that scripts/export.py writes; the program has the forward pass
  traced,  ///< forward(input_ids[n, t], attention_mask[n, t]) -> tensor, tuple or dict, as Hugging Face models traced
};

/// A way to less work at some cost in quality: tokens of long texts are dropped on their way through a native model.
struct Schedule {
  std::string name;
  /// For each layer but the last the share of a window's tokens that goes on after its attention, those that receive
  /// most of it (src/model/drop_tokens.h): above 0 and up to 1, none above the one before.
  std::vector<double> keep;
  std::string metrics = "{}";  ///< measured figures, a JSON object
};

/// The effort at which no token is dropped; every model has it.
inline constexpr const char* kFullEffort = "full";

/// Everything the program must know of a model besides its weights.
struct Manifest {
  std::string path;  ///< of manifest.json; empty for a bare TorchScript file
  std::string name;
  std::string license;
  PackageFile model;
  ModelInterface interface = ModelInterface::native;
  std::string torch_version;            ///< that exported the module; informative
  std::string tokenizer = "wordpiece";  ///< or "sentencepiece"
  bool lowercase = true;                ///< of WordPiece
  UnigramOptions unigram;               ///< of SentencePiece
  PackageFile vocab;                    ///< vocab.txt, or the SentencePiece model
  std::optional<PackageFile> charsmap;  ///< normalization rules of SentencePiece
  std::vector<std::string> labels;
  std::optional<std::size_t> positive;  ///< index into labels
  std::size_t max_tokens = 512;
  LongText long_text = LongText::head;
  std::optional<RatingThresholds> rating_thresholds;  ///< of a model of two labels
  std::vector<double> confidence_percentiles;  ///< two labels: unsure_range() has what they are; empty: not known
  std::vector<double> label_values;  ///< more than two labels: the rating that each stands for; empty: not known
  std::vector<std::string> precisions = {"fp32"};  ///< that were checked when it was exported
  std::vector<Schedule> schedules;                 ///< of a native model
  std::optional<PackageFile> reference;
};

/// Reads DIR/manifest.json and checks every value in it. Throws Error(model).
Manifest read_manifest(const std::string& dir);

/// Whether the label is decided by a threshold: there are two, and one is the positive one.
bool has_threshold(const Manifest& manifest);

/// The efforts that the model can be run at: full, and its schedules.
std::vector<std::string> effort_names(const Manifest& manifest);

/// Why the model gives no rating, for people, and what gives it one; empty where it gives one.
std::string no_rating(const Manifest& manifest);

/// The most bytes that a model's or a vocabulary's file may have.
constexpr std::size_t kMaxModelBytes = std::size_t{4} << 30;
constexpr std::size_t kMaxVocabBytes = std::size_t{64} << 20;

/// The SHA-256 of a file as 64 lower-case hex digits. Throws Error(model).
std::string sha256_file(const std::string& path);

/// The bytes of `file`, once it is known that these very bytes have the checksum that the manifest states. Throws
/// Error(model) where they do not, or where the file cannot be read, is no regular file or larger than `limit`.
FileBytes read_package_file(const PackageFile& file, std::size_t limit);

/// The name that manifests and the command line use.
std::optional<LongText> parse_long_text(const std::string& name);
std::string long_text_name(LongText policy);

}  // namespace reviewrate
