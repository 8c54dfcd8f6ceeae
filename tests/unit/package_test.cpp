// Opening packages, with a model in libtorch's place: what is used is what was verified, and all of it fits together.
#include "reviewrate/package.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "catch.h"
#include "model_file.h"
#include "reviewrate/error.h"
#include "reviewrate/rating.h"
#include "reviewrate/sha256.h"
#include "stand_in_model.h"

namespace reviewrate {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using nlohmann::json;
using testing::distilbert;
using testing::models_loaded;

constexpr const char* kVocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nfilm\ngood\n##s\n";

std::string sha256(const std::string& bytes) {
  Sha256 sum;
  sum.add(bytes);
  return sum.hex();
}

/// A package on disk that is gone at the end.
class Folder {
 public:
  explicit Folder(const testing::ModelFile& model = distilbert()) {
    std::string path = (fs::temp_directory_path() / "reviewrate-XXXXXX").string();
    REQUIRE(::mkdtemp(path.data()) != nullptr);
    path_ = path;
    manifest["model"] = {{"file", "model.pt"}, {"interface", "packed"}, {"torch", "2.13.0"}};
    manifest["tokenizer"] = {
        {"kind", "wordpiece"}, {"lowercase", true}, {"files", {{"vocab", {{"file", "vocab.txt"}}}}}};
    write("vocab.txt", kVocabulary);
    write("model.pt", model.bytes());
  }

  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::string& path() const { return path_; }

  /// Writes a file; the manifest will state its checksum.
  void write(const std::string& name, const std::string& bytes) {
    replace(name, bytes);
    (name == "model.pt" ? manifest["model"] : manifest["tokenizer"]["files"]["vocab"])["sha256"] = sha256(bytes);
  }

  /// Writes one behind the manifest's back.
  void replace(const std::string& name, const std::string& bytes) const {
    std::ofstream(path_ + '/' + name, std::ios::binary) << bytes;
  }

  Package open(const std::string& precision = "fp32") const {
    replace("manifest.json", manifest.dump());
    return open_package({.model = path_, .vocab = "", .precision = precision});
  }

  /// What is said of it; nothing where it opens.
  std::string complaint() const {
    try {
      open();
    } catch (const Error& e) {
      CHECK(e.kind() == ErrorKind::model);
      return e.what();
    }
    return "";
  }

  json manifest = {{"format", 1},
                   {"name", "x"},
                   {"license", "Apache-2.0"},
                   {"labels", {"NEGATIVE", "POSITIVE"}},
                   {"positive", "POSITIVE"},
                   {"max_tokens", 6},
                   {"long_text", "head"},
                   {"rating", json::object()},
                   {"precisions", {"fp32", "int8"}}};

 private:
  std::string path_;
};

Batch batch_of(const std::string& text, const Package& package) {
  std::vector<TokenId> ids;
  package.tokenizer->encode(text, ids);
  Batch batch;
  for (const Window& window : cut(ids.size(), {package.manifest.long_text, package.manifest.max_tokens})) {
    batch.add(ids, window, *package.tokenizer);
  }
  return batch;
}

}  // namespace

TEST_CASE("package: the tiny one gives the probabilities that transformers gave") {
  const Package package = open_package({.model = REVIEWRATE_TEST_DATA "/tiny", .vocab = ""});
  CHECK(!package.runs_unverified_code);
  std::ifstream reference(package.manifest.reference->path);
  std::size_t texts = 0;
  for (std::string line; std::getline(reference, line); ++texts) {
    const json expected = json::parse(line);
    const Batch batch = batch_of(expected["text"].get<std::string>(), package);
    const std::vector<double> p = softmax(package.model->forward(batch));
    REQUIRE(p.size() == 2);
    CHECK(p[1] == Approx(expected["p"][1].get<double>()).margin(1e-5));
  }
  CHECK(texts >= 40);
}

TEST_CASE("package: a file that is not the manifest's is not looked into") {
  Folder folder;
  CHECK(folder.complaint().empty());
  const std::size_t loaded = models_loaded();
  folder.replace("model.pt", "no archive");
  CHECK_THAT(folder.complaint(), Contains("/model.pt: is damaged or was changed: its SHA-256 is "));
  Folder other;
  other.replace("vocab.txt", "\xFF");
  CHECK_THAT(other.complaint(), Contains("/vocab.txt: is damaged or was changed: its SHA-256 is "));
  CHECK(models_loaded() == loaded);
}

TEST_CASE("package: 200 random flips and cuts of model.pt are noticed") {
  std::ifstream stream(REVIEWRATE_TEST_DATA "/tiny/model.pt", std::ios::binary);
  const std::string whole(std::istreambuf_iterator<char>(stream), {});
  Folder folder;
  folder.write("model.pt", whole);
  const std::size_t loaded = models_loaded();
  std::mt19937 random(20);
  for (int i = 0; i < 200; ++i) {
    std::string damaged = whole;
    if (i % 4 == 0) {
      damaged.resize(random() % whole.size());
    } else {
      damaged[random() % whole.size()] ^= static_cast<char>(1U << random() % 8);
    }
    folder.replace("model.pt", damaged);
    CHECK_THAT(folder.complaint(), Contains("/model.pt: is damaged or was changed"));
  }
  CHECK(models_loaded() == loaded);
}

TEST_CASE("package: a link to a regular file is followed, and nothing else is read") {
  for (const std::string name : {"model.pt", "vocab.txt"}) {
    Folder folder;
    const std::string path = folder.path() + '/' + name;
    fs::rename(path, path + ".blob");
    fs::create_symlink(name + ".blob", path);
    CHECK(folder.complaint().empty());
    fs::remove(path + ".blob");
    CHECK(folder.complaint() == path + ": cannot be opened: No such file or directory");
    REQUIRE(::mkfifo((path + ".blob").c_str(), 0600) == 0);
    CHECK(folder.complaint() == path + ": is not a regular file");
    fs::remove(path);
    fs::create_symlink("/dev/zero", path);
    CHECK(folder.complaint() == path + ": is not a regular file");
    fs::remove(path);
    fs::create_directory(path);
    CHECK(folder.complaint() == path + ": is not a regular file");
  }
  const Folder folder;
  REQUIRE(::mkfifo((folder.path() + "/manifest.json").c_str(), 0600) == 0);
  CHECK_THROWS_WITH(open_package({.model = folder.path(), .vocab = ""}),
                    folder.path() + "/manifest.json: is not a regular file");
}

TEST_CASE("package: vocabulary, max_tokens and labels fit the weights") {
  Folder folder;
  folder.write("vocab.txt", std::string(kVocabulary) + "bad\n");
  CHECK_THAT(folder.complaint(), Contains("the vocabulary's tokens are 9, the model has embeddings for 8"));
  Folder longer;
  longer.manifest["max_tokens"] = 7;
  CHECK_THAT(longer.complaint(), Contains("max_tokens is 7, the model has embeddings for 6"));
  Folder three;
  three.manifest["labels"].push_back("NEUTRAL");
  CHECK_THAT(three.complaint(), Contains("the manifest has 3 labels, the model 2"));
}

TEST_CASE("package: finite weights that overflow end in an error, not in an answer") {
  // With half as many, it is a matter of rounding, and so of the CPU, whether the squares overflow.
  testing::ModelFile model = distilbert({.hidden = 16384});
  const auto fill = [&](const char* path, std::size_t begin, unsigned bits) {
    std::string& bytes = model.at(path).bytes;
    for (std::size_t i = begin; i < bytes.size(); i += 2) bytes.replace(i, 2, testing::little_endian(bits, 2));
  };
  constexpr unsigned kMost = 0x7BFF;  // 65504
  for (const char* path : {"norm.weight", "norm.bias", "last.rest.norm1.weight", "last.rest.norm1.bias",
                           "last.rest.up.weight", "last.rest.up.bias", "last.rest.down.weight"}) {
    fill(path, 0, kMost);
  }
  // Half of the last product's values below zero: normalization squares how far they are from their mean.
  fill("last.rest.down.weight", model.at("last.rest.down.weight").bytes.size() / 2, kMost | 0x8000);
  const Folder folder(model);
  for (const char* precision : {"fp32", "int8"}) {
    const Package package = folder.open(precision);
    CHECK_THROWS_WITH(package.model->forward(batch_of("good films", package)),
                      Contains("its logits are not all finite numbers"));
  }
}

TEST_CASE("package: code that no manifest vouches for is told") {
  Folder folder;
  CHECK(!folder.open().runs_unverified_code);
  folder.manifest["model"]["interface"] = "padded";
  CHECK(!folder.open().runs_unverified_code);
  const ModelChoice bare = {.model = folder.path() + "/model.pt", .vocab = folder.path() + "/vocab.txt"};
  CHECK(open_package(bare).runs_unverified_code);
}

TEST_CASE("package: a traced model that expands to gigabytes is refused") {
  Folder folder;
  folder.manifest["model"]["interface"] = "padded";
  folder.write("model.pt", testing::archive({{"model/data.pkl", "x", 8, std::uint64_t{3} << 30}}));
  CHECK_THAT(folder.complaint(), Contains("expands to more than 67108864 bytes"));
}

}  // namespace reviewrate
