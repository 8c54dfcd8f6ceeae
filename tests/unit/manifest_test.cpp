// Manifests: the real one is read, and every kind of damage gets a line that names file and key.
#include "reviewrate/manifest.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "reviewrate/error.h"

using namespace reviewrate;
using nlohmann::json;

namespace {

/// A folder that is gone at the end.
class TempFolder {
 public:
  TempFolder() {
    std::string path = (std::filesystem::temp_directory_path() / "reviewrate-XXXXXX").string();
    if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = path;
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ + "/" + name, std::ios::binary) << text;
    return path_;
  }

 private:
  std::string path_;
};

json valid() {
  const std::string sum(64, 'a');
  return {
      {"format", 1},
      {"name", "x"},
      {"license", "Apache-2.0"},
      {"model", {{"file", "model.pt"}, {"sha256", sum}, {"interface", "packed"}, {"torch", "2.13.0"}}},
      {"tokenizer",
       {{"kind", "wordpiece"}, {"lowercase", true}, {"files", {{"vocab", {{"file", "vocab.txt"}, {"sha256", sum}}}}}}},
      {"labels", {"NEGATIVE", "POSITIVE"}},
      {"positive", "POSITIVE"},
      {"max_tokens", 512},
      {"long_text", "head-tail"},
      {"rating", json::object()},
      {"precisions", {"fp32"}},
      {"reference", {{"file", "reference.jsonl"}, {"sha256", sum}}}};
}

std::string complaint(const std::string& text) {
  const TempFolder folder;
  try {
    read_manifest(folder.write("manifest.json", text));
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::model);
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("manifest: a valid one is read") {
  const TempFolder folder;
  json text = valid();
  text["rating"]["fitted"] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
  const std::string dir = folder.write("manifest.json", text.dump());
  const Manifest m = read_manifest(dir);
  CHECK(m.model.path == dir + "/model.pt");
  CHECK(m.interface == ModelInterface::native);
  CHECK(m.long_text == LongText::head_tail);
  CHECK(m.positive == 1);
  CHECK(m.max_tokens == 512);
  REQUIRE(m.rating_thresholds);
  CHECK(m.rating_thresholds->at(8) == 0.9);
  REQUIRE(m.reference);
}

TEST_CASE("manifest: a SentencePiece tokenizer") {
  using Catch::Contains;
  const std::string sum(64, 'a');
  const json file = {{"file", "x.bin"}, {"sha256", sum}};
  json text = valid();
  text["tokenizer"] = {
      {"kind", "sentencepiece"},
      {"normalizer", {"charsmap", "strip-right"}},
      {"split_white_space", false},
      {"begin", "<s>"},
      {"end", "</s>"},
      {"special_tokens", {{{"text", "<mask>"}, {"id", 9}, {"strip_left", true}, {"normalized", false}}}},
      {"files", {{"model", file}, {"charsmap", file}}}};
  const TempFolder folder;
  const Manifest m = read_manifest(folder.write("manifest.json", text.dump()));
  CHECK(m.tokenizer == "sentencepiece");
  CHECK(m.unigram.normalizer == std::vector{NormalizerStep::charsmap, NormalizerStep::strip_right});
  CHECK(m.unigram.begin == "<s>");
  REQUIRE(m.unigram.special_tokens.size() == 1);
  CHECK(m.unigram.special_tokens[0].id == 9);
  CHECK(m.unigram.special_tokens[0].strip_left);
  CHECK(m.charsmap);

  const auto with = [&](const char* key, const json& value) {
    json changed = text;
    changed["tokenizer"][json::json_pointer(key)] = value;
    return complaint(changed.dump());
  };
  CHECK_THAT(with("/normalizer", {"nfc"}), Contains("\"nfc\" is not known"));
  CHECK_THAT(with("/normalizer", {1}), Contains("1 is not known"));
  CHECK_THAT(with("/normalizer", "charsmap"), Contains("must be a short list"));
  CHECK_THAT(with("/files", {{"model", file}}), Contains("charsmap: is missing"));
  CHECK_THAT(with("/split_white_space", 1), Contains("must be true or false"));
  CHECK_THAT(with("/special_tokens/0/id", -1), Contains("special_tokens"));
  CHECK_THAT(with("/special_tokens/0/id", 1e10), Contains("special_tokens"));
  CHECK_THAT(with("/special_tokens/0", "<mask>"), Contains("special_tokens"));
  CHECK_THAT(with("/special_tokens", json(2000, json::object())), Contains("must be a short list"));
}

TEST_CASE("manifest: the default package's is read") {
  const Manifest m = read_manifest(REVIEWRATE_MODEL_DIR);
  CHECK(m.labels == std::vector<std::string>{"NEGATIVE", "POSITIVE"});
  CHECK(read_package_file(m.vocab, kMaxVocabBytes).bytes.starts_with("[PAD]\n"));
}

TEST_CASE("manifest: damage is named") {
  using Catch::Contains;
  const auto with = [](const json::json_pointer& key, const json& value) {
    json text = valid();
    text[key] = value;
    return complaint(text.dump());
  };
  const auto pointer = [](const char* text) { return json::json_pointer(text); };
  CHECK_THAT(complaint(""), Contains("manifest.json: is not JSON"));
  CHECK_THAT(complaint("[1]"), Contains("is not a JSON object"));
  CHECK_THAT(complaint(std::string(100000, '[')), Contains("nested too deep"));
  CHECK_THAT(complaint(std::string((1 << 20) + 1, ' ')), Contains("larger than"));
  CHECK_THAT(with(pointer("/format"), 2), Contains("format: is 2, but this program reads format 1"));
  CHECK_THAT(with(pointer("/format"), "1"), Contains("format: is \"1\""));
  CHECK_THAT(with(pointer("/name"), 5), Contains("name: must be a string"));
  CHECK_THAT(with(pointer("/model/file"), "../model.pt"), Contains("inside the package"));
  CHECK_THAT(with(pointer("/model/file"), "/model.pt"), Contains("inside the package"));
  CHECK_THAT(with(pointer("/model/sha256"), "abc"), Contains("64 lower-case hex digits"));
  CHECK_THAT(with(pointer("/model/interface"), "other"), Contains("packed or padded"));
  CHECK_THAT(with(pointer("/tokenizer/kind"), "bpe"), Contains("\"bpe\" is not known"));
  CHECK_THAT(with(pointer("/labels"), {"one"}), Contains("at least two"));
  CHECK_THAT(with(pointer("/labels"), {"one", 2}), Contains("list of strings"));
  CHECK_THAT(with(pointer("/labels"), {"one", "two", "one"}), Contains("labels: must differ"));
  CHECK_THAT(with(pointer("/positive"), "three"), Contains("not one of the labels"));
  CHECK_THAT(with(pointer("/max_tokens"), 2), Contains("max_tokens"));
  CHECK_THAT(with(pointer("/max_tokens"), -5), Contains("max_tokens"));
  CHECK_THAT(with(pointer("/max_tokens"), 1e300), Contains("max_tokens"));
  CHECK_THAT(with(pointer("/long_text"), "middle"), Contains("head, head-tail or windows"));
  CHECK_THAT(with(pointer("/rating/fitted"), {0.1, 0.2}), Contains("nine numbers"));
  CHECK_THAT(with(pointer("/rating/fitted"), {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9, 0.8}), Contains("ascend"));
  CHECK_THAT(with(pointer("/rating/fitted"), {0.1, 0.2, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}), Contains("ascend"));
  CHECK_THAT(with(pointer("/rating/fitted"), {-0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}), Contains("ascend"));
  CHECK_THAT(with(pointer("/rating/fitted"), {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.1}), Contains("ascend"));
  const json all = valid();
  for (const auto& [key, value] : all.items()) {
    if (key == "reference") continue;
    json text = valid();
    text.erase(key);
    CHECK_THAT(complaint(text.dump()), Contains(key + ": is missing"));
  }
}

TEST_CASE("manifest: schedules, each with the shares that it keeps and what was measured") {
  using Catch::Contains;
  json text = valid();
  const auto read = [&] {
    const TempFolder folder;
    return read_manifest(folder.write("manifest.json", text.dump()));
  };
  CHECK(effort_names(read()) == std::vector<std::string>{"full"});
  text["schedules"] = {{"fast", {{"keep", {1, 0.7, 0.7}}, {"metrics", {{"f1", 0.9}}}}}, {"fast-2", {{"keep", {0.5}}}}};
  const Manifest m = read();
  CHECK(effort_names(m) == std::vector<std::string>{"full", "fast", "fast-2"});
  CHECK(m.schedules[0].keep == std::vector<double>{1, 0.7, 0.7});
  CHECK(json::parse(m.schedules[0].metrics) == json{{"f1", 0.9}});
  CHECK(m.schedules[1].metrics == "{}");

  const auto with = [&](const std::string& name, const json& schedule) {
    text["schedules"] = {{name, schedule}};
    return complaint(text.dump());
  };
  for (const char* name : {"full", "", "Fast", "fast est", "-fast", "f\x1b"}) {
    CHECK_THAT(with(name, {{"keep", {0.5}}}), Contains(" must be of lower-case letters, digits and -, and not full"));
  }
  for (const json& keep : {json::array(), json(0.5), json{"0.5"}, json{0}, json{-0.5}, json{1.1}, json{0.5, 0.6},
                           json{0.5, nullptr}, json::object()}) {
    CHECK_THAT(with("fast", {{"keep", keep}}),
               Contains("schedules.fast.keep: must be shares above 0 and up to 1, none above the one before"));
  }
  CHECK_THAT(with("fast", json::array()), Contains("schedules.fast: must be an object"));
  CHECK_THAT(with("fast", json::object()), Contains("keep: is missing"));
  CHECK_THAT(with("fast", {{"keep", {0.5}}, {"metrics", 1}}), Contains("metrics: must be an object"));
  text["schedules"] = json::array();
  CHECK_THAT(complaint(text.dump()), Contains("schedules: must be an object"));
  text["schedules"] = json::object();
  CHECK(effort_names(read()) == std::vector<std::string>{"full"});
  text["model"]["interface"] = "padded";
  CHECK_THAT(complaint(text.dump()), Contains("schedules: are for a native model"));
}

TEST_CASE("sha256: the value that FIPS 180-2 gives for \"abc\", and a mismatch is told") {
  const TempFolder folder;
  const std::string path = folder.write("abc", "abc") + "/abc";
  const std::string sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  CHECK(sha256_file(path) == sum);
  CHECK(read_package_file({path, sum}, 3).bytes == "abc");
  CHECK(read_package_file({path, ""}, 3).bytes == "abc");
  CHECK_THROWS_WITH(read_package_file({path, std::string(64, '0')}, 3), Catch::Contains("damaged or was changed"));
}

TEST_CASE("package files are regular files, whatever leads to them") {
  const TempFolder folder;
  const std::string path = folder.write("abc", "abc") + "/abc";
  const auto refusal = [](const std::string& file) {
    try {
      read_package_file({file, ""}, 3);
    } catch (const Error& e) {
      CHECK(e.kind() == ErrorKind::model);
      return std::string(e.what());
    }
    return std::string();
  };
  const std::string link = path + ".link";
  std::filesystem::create_symlink("abc", link);
  CHECK(read_package_file({link, ""}, 3).bytes == "abc");
  REQUIRE(::mkfifo((path + ".pipe").c_str(), 0600) == 0);
  std::filesystem::create_symlink("abc.pipe", path + ".pipe.link");
  for (const std::string& file : {path + ".pipe", path + ".pipe.link", std::string("/dev/zero"), std::string(".")}) {
    CHECK(refusal(file) == file + ": is not a regular file");
  }
  CHECK(refusal(path + "x") == path + "x: cannot be opened: No such file or directory");
  folder.write("abc", "abcd");
  CHECK(refusal(path) == path + ": is larger than 3 bytes");
}

TEST_CASE("manifest: what each of more than two labels stands for") {
  json three = valid();
  three["labels"] = {"negative", "neutral", "positive"};
  three["positive"] = "positive";
  const auto read = [](const json& text) {
    const TempFolder folder;
    return read_manifest(folder.write("manifest.json", text.dump()));
  };
  CHECK(no_rating(read(three)) ==
        "model x gives no rating: nothing says which rating each of its labels negative, neutral, positive stands for "
        "(scripts/export.py --label-values)");
  CHECK_FALSE(has_threshold(read(three)));
  three["rating"] = {{"values", {1, 5.5, 10}}};
  CHECK(read(three).label_values == std::vector<double>{1, 5.5, 10});
  CHECK(no_rating(read(three)).empty());
  for (const json& values : {json{1, 10}, json{0, 5, 10}, json{1, 5, 10.5}, json{1, "5", 10}, json(3)}) {
    three["rating"]["values"] = values;
    CHECK_THAT(complaint(three.dump()),
               Catch::Matchers::Contains("rating.values: must be a number from 1 to 10 for each label"));
  }
  json two = valid();
  CHECK(has_threshold(read(two)));
  CHECK(no_rating(read(two)).empty());
  two["rating"] = {{"values", {1, 10}}};
  CHECK_THAT(complaint(two.dump()), Catch::Matchers::Contains("rating.values: are for more than two labels"));
  two["rating"] = json::object();
  two["positive"] = nullptr;
  CHECK_THAT(no_rating(read(two)),
             Catch::Matchers::Contains("none of its labels NEGATIVE, POSITIVE is the positive one"));
  two["rating"] = {{"fitted", {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}}};
  CHECK_THAT(complaint(two.dump()), Catch::Matchers::Contains("rating.fitted: is for two labels"));
}
