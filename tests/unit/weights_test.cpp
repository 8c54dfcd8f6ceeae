// model.pt files of native models: good ones are read, and every other is refused with a line that says what is wrong.
#include <cmath>
#include <limits>
#include <random>

#include "../../src/model/distilbert_weights.h"
#include "../../src/model/torch_archive.h"
#include "catch.h"
#include "model_file.h"
#include "reviewrate/error.h"
#include "reviewrate/file.h"

namespace reviewrate {
namespace {

using Catch::Contains;
using testing::archive;
using testing::distilbert;
using testing::little_endian;
using testing::ModelFile;
using testing::Parameter;
using testing::parameter;
using testing::Record;

constexpr DistilBertUse kUse = {.labels = 2, .vocab_size = 8, .max_tokens = 6};

/// What is said of the file; nothing where it is read.
std::string complaint(const std::string& bytes, const DistilBertUse& use = kUse) {
  try {
    read_distilbert_weights({"model.pt", bytes}, use);
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::model);
    const std::string message = e.what();
    CHECK(message.starts_with("model.pt: "));
    CHECK(message.find('\n') == std::string::npos);
    return message;
  }
  return "";
}

/// The same after a change of the model.
template <typename Change>
std::string complaint_after(const Change& change) {
  ModelFile file = distilbert();
  change(file);
  return complaint(file.bytes());
}

std::string with(const std::string& path, ModelFile::Value value) {
  return complaint_after([&](ModelFile& file) { file.values[path] = std::move(value); });
}

/// What is said where the parameter `path` was changed.
template <typename Change>
std::string with_changed(const std::string& path, const Change& change) {
  return complaint_after([&](ModelFile& file) { change(file.at(path)); });
}

Parameter zeros(const std::vector<std::int64_t>& sizes) {
  std::int64_t count = 1;
  for (const std::int64_t size : sizes) count *= size;
  return parameter(sizes, std::vector<std::uint16_t>(static_cast<std::size_t>(count)));
}

/// What is said of a file that has nothing but this pickle.
std::string of_pickle(const std::string& bytes) { return complaint(archive({{"model/data.pkl", bytes}})); }

}  // namespace

TEST_CASE("weights: every parameter is where its name says") {
  const ModelFile file = distilbert({.layers = 3});
  const FileBytes bytes = {"model.pt", file.bytes()};
  const DistilBertWeights weights = read_distilbert_weights(bytes, kUse);
  const auto equal = [&](const Half* found, const std::string& path) {
    const std::string& expected = std::get<Parameter>(file.values.at(path)).bytes;
    return expected == std::string(reinterpret_cast<const char*>(found), expected.size());
  };
  CHECK(equal(weights.word_embeddings.weight, "words"));
  CHECK(equal(weights.position_embeddings.weight, "places"));
  CHECK(weights.word_embeddings.rows == 8);
  CHECK(weights.position_embeddings.rows == 6);
  CHECK(weights.word_embeddings.width == 4);
  REQUIRE(weights.layers.size() == 3);
  CHECK(equal(weights.layers[1].projection.weight, "layers.1.qkv.weight"));
  CHECK(equal(weights.layers[1].up.bias, "layers.1.rest.up.bias"));
  CHECK(equal(weights.layers[1].norm2.bias, "layers.1.rest.norm2.bias"));
  CHECK(weights.layers[1].heads == 2);
  CHECK(weights.layers[1].activation == Activation::gelu);
  CHECK(weights.layers[1].norm1.epsilon == 1e-12F);
  CHECK(equal(weights.layers[2].query.weight, "last.q.weight"));
  CHECK(equal(weights.layers[2].projection.bias, "last.kv.bias"));
  CHECK(weights.layers[2].down.in == 6);
  CHECK(equal(weights.classifier.weight, "classifier.weight"));
  CHECK(weights.classifier.out == 2);
}

TEST_CASE("weights: the tiny model's, and the smallest") {
  const std::string tiny = read_file(REVIEWRATE_TEST_DATA "/tiny/model.pt", 1 << 20, ErrorKind::model);
  CHECK(complaint(tiny, {2, 838, 512}).empty());
  CHECK(complaint(distilbert({.layers = 1}).bytes()).empty());
  CHECK(complaint(distilbert({1, 1, 1, 1, 1, 1, 1}).bytes(), {1, 1, 1}).empty());
}

TEST_CASE("weights: other shapes than the forward pass assumes") {
  CHECK(with("layers.0.qkv.weight", zeros({12, 4, 0})) ==
        "model.pt: cannot be loaded: its layers.0.qkv.weight is fp16 [12, 4, 0], not fp16 [12, 4]");
  CHECK_THAT(with("layers.0.qkv.weight", zeros({12, 4, 1})), Contains("fp16 [12, 4, 1], not fp16 [12, 4]"));
  CHECK_THAT(with("layers.0.qkv.weight", zeros({4, 12})), Contains("fp16 [4, 12], not fp16 [12, 4]"));
  CHECK_THAT(with("layers.0.qkv.bias", zeros({11})), Contains("fp16 [11], not fp16 [12]"));
  CHECK_THAT(with("layers.0.qkv.bias", zeros({})), Contains("fp16 [], not fp16 [12]"));
  CHECK_THAT(with("last.rest.up.weight", zeros({0, 4})), Contains("up.weight is [0, 4], not [rows, columns]"));
  CHECK_THAT(with("last.rest.up.weight", zeros({1 << 17, 4})), Contains("up.weight has more than 65536 rows"));
  CHECK_THAT(with("last.rest.down.weight", zeros({4, 7})), Contains("fp16 [4, 7], not fp16 [4, 6]"));
  CHECK_THAT(with("words", zeros({8, 0})), Contains("words is [8, 0], not [rows, columns]"));
  CHECK_THAT(with("words", zeros({0, 4})), Contains("words is [0, 4], not [rows, columns]"));
  CHECK_THAT(with("words", zeros({8, 4, 1})), Contains("words is [8, 4, 1], not [rows, columns]"));
  CHECK_THAT(with("words", zeros({1, 1 << 17})), Contains("words is [1, 131072], not [rows, columns]"));
  CHECK_THAT(with("places", zeros({6, 5})), Contains("its places are 5 wide, its words 4"));
  CHECK_THAT(with("norm.weight", zeros({5})), Contains("norm.weight is fp16 [5], not fp16 [4]"));
  CHECK_THAT(with("classifier.weight", zeros({0, 4})), Contains("classifier.weight is [0, 4]"));
  CHECK_THAT(with_changed("words", [](Parameter& p) { p.sizes = {-8, 4}; }), Contains("[-8, 4]"));
  const auto huge = [](Parameter& p) {
    p.sizes = {INT32_MAX, 65536};
    p.strides = {65536, 1};
  };
  CHECK_THAT(with_changed("words", huge), Contains("words is not the whole of a record"));
}

TEST_CASE("weights: other types than fp16") {
  const std::pair<const char*, const char*> types[] = {
      {"FloatStorage", "fp32"},           {"BFloat16Storage", "bf16"}, {"BoolStorage", "bool"},
      {"ComplexFloatStorage", "complex"}, {"CharStorage", "int8"},     {"\x1b[31mStorage", "of another type"}};
  for (const auto& [storage, name] : types) {
    const auto change = [type = storage](Parameter& p) { p.storage = type; };
    CHECK(with_changed("last.q.bias", change) ==
          "model.pt: cannot be loaded: its last.q.bias is " + std::string(name) + " [4], not fp16 [4]");
  }
  CHECK_THAT(with("last.q.bias", std::int64_t{5}), Contains("last.q.bias is no tensor"));
  CHECK_THAT(with("words", true), Contains("words is no tensor"));
}

TEST_CASE("weights: views that are strided, expanded, shifted or larger than what is stored") {
  const auto bias = [](const auto& change) { return with_changed("last.q.bias", change); };
  for (const std::vector<std::int64_t>& strides : std::vector<std::vector<std::int64_t>>{{0}, {2}, {1 << 20}, {}}) {
    CHECK_THAT(bias([&](Parameter& p) { p.strides = strides; }), Contains("last.q.bias is not contiguous"));
  }
  CHECK_THAT(with_changed("last.q.weight", [](Parameter& p) { p.strides = {1, 4}; }), Contains("is not contiguous"));
  const std::string not_whole = "last.q.bias is not the whole of a record";
  CHECK_THAT(bias([](Parameter& p) { p.offset = 1; }), Contains(not_whole));
  CHECK_THAT(bias([](Parameter& p) { p.offset = -1; }), Contains(not_whole));
  CHECK_THAT(bias([](Parameter& p) { p.storage_size = 5; }), Contains(not_whole));
  CHECK_THAT(bias([](Parameter& p) { p.bytes.resize(6); }), Contains(not_whole));
  CHECK_THAT(bias([](Parameter& p) { p.bytes += "x"; }), Contains(not_whole));
  CHECK_THAT(bias([](Parameter& p) { p.record = "missing"; }), Contains(not_whole));
}

TEST_CASE("weights: numbers at an odd address are not read") {
  std::vector<Record> records = distilbert().records();
  std::string file = archive(records);
  const std::size_t filling = file.find('Z');
  REQUIRE(filling < 100);
  // One byte of the first record's filling less: all that follows moves, and the directory with it.
  const std::string offsets = archive(records);
  file.erase(filling, 1);
  const std::size_t size = static_cast<unsigned char>(file[28]) + 256U * static_cast<unsigned char>(file[29]);
  file.replace(28, 2, little_endian(size - 1, 2));
  const std::size_t extra = 30 + records[0].name.size();
  file.replace(extra + 2, 2, little_endian(size - 5, 2));
  std::size_t at = file.find("PK\x01\x02");
  const std::size_t begin = at;
  for (std::size_t i = 0; i < records.size(); ++i, at += 46 + records[i - 1].name.size()) {
    std::uint64_t local = 0;
    for (std::size_t k = 4; k-- > 0;) local = local << 8 | static_cast<unsigned char>(file[at + 42 + k]);
    if (i > 0) file.replace(at + 42, 4, little_endian(local - 1, 4));
  }
  file.replace(at + 48, 8, little_endian(begin, 8));
  file.replace(at + 56 + 8, 8, little_endian(at, 8));
  CHECK_THAT(complaint(file), Contains(" is not aligned"));
}

TEST_CASE("weights: a small file cannot ask for many parameters") {
  ModelFile file = distilbert();
  Parameter shared = zeros({4, 4});
  shared.record = "shared";
  file.values["last.rest.out.weight"] = shared;
  file.values["last.q.weight"] = shared;
  std::vector<Record> records = file.records();
  records.push_back({"model/data/shared", shared.bytes});
  CHECK_THAT(complaint(archive(records)), Contains("shares its numbers with another parameter"));
}

TEST_CASE("weights: NaN and infinity, wherever they stand") {
  const ModelFile good = distilbert();
  for (const auto& [path, value] : good.values) {
    if (!std::holds_alternative<Parameter>(value)) continue;
    for (const unsigned bits : {0x7C00U, 0xFC00U, 0x7E00U, 0xFC01U}) {
      const auto spoil = [&](Parameter& p) { p.bytes.replace(p.bytes.size() - 2, 2, little_endian(bits, 2)); };
      CHECK(with_changed(path, spoil) == "model.pt: cannot be loaded: its " + path + " holds NaN or infinity");
    }
  }
}

TEST_CASE("weights: settings outside of what they mean") {
  for (const std::int64_t heads : {0, -2, 3, 8}) {
    CHECK_THAT(with("layers.0.heads", heads),
               Contains("heads are " + std::to_string(heads) + ", which does not divide"));
  }
  CHECK_THAT(with("layers.0.heads", 2.0), Contains("heads is no whole number"));
  for (const double eps : {0.0, -1e-12, 1e-60, 2.0, 1e300, HUGE_VAL, std::nan("")}) {
    CHECK_THAT(with("norm.eps", eps), Contains("norm.eps is not a small number above 0"));
  }
  CHECK_THAT(with("norm.eps", std::int64_t{1}), Contains("norm.eps is no number"));
  CHECK_THAT(with("last.rest.relu", std::int64_t{1}), Contains("last.rest.relu is no truth value"));
}

TEST_CASE("weights: each part is needed") {
  const ModelFile good = distilbert();
  for (const auto& entry : good.values) {
    const std::string& path = entry.first;
    if (path == "layers.training") continue;
    const std::string missing = complaint_after([&](ModelFile& file) { file.values.erase(path); });
    CHECK(missing == "model.pt: cannot be loaded: its " + path + " is missing");
  }
  for (const std::string name : {"last", "layers", "norm", "classifier", "last.rest", "last.q"}) {
    const std::string missing = complaint_after([&](ModelFile& file) {
      std::erase_if(file.values, [&](const auto& entry) { return entry.first.starts_with(name + '.'); });
    });
    CHECK(missing == "model.pt: cannot be loaded: its " + name + " is missing");
  }
  CHECK_THAT(with("layers.1", std::int64_t{1}), Contains("its layers.1 is no module"));
}

TEST_CASE("weights: what the rest of the package asks for") {
  const std::string bytes = distilbert().bytes();
  CHECK_THAT(complaint(bytes, {3, 8, 6}), Contains("does not fit its package: the manifest has 3 labels, the model 2"));
  CHECK_THAT(complaint(bytes, {2, 9, 6}), Contains("the vocabulary's tokens are 9, the model has embeddings for 8"));
  CHECK_THAT(complaint(bytes, {2, 8, 7}), Contains("max_tokens is 7, the model has embeddings for 6"));
}

TEST_CASE("archive: what torch.jit.save never writes") {
  using Records = std::vector<Record>;
  const Records good = distilbert().records();
  const auto after = [&](const auto& change) {
    Records records = good;
    change(records);
    return complaint(archive(records));
  };
  CHECK_THAT(complaint(""), Contains("it is no zip archive, or cut off"));
  CHECK_THAT(complaint(std::string(100, 'x')), Contains("it is no zip archive, or cut off"));
  CHECK_THAT(complaint(archive(good) + "x"), Contains("it is no zip archive, or cut off"));
  CHECK_THAT(complaint(archive(good).substr(1)), Contains("it is no zip archive, or cut off"));
  CHECK_THAT(complaint(archive({})), Contains("it has no data.pkl"));
  CHECK_THAT(after([](Records& r) { r.push_back(r[0]); }), Contains("has the name of another"));
  CHECK_THAT(after([](Records& r) { r[3].name = "other/data/3"; }), Contains("its record 3 is in no folder"));
  CHECK_THAT(after([](Records& r) { r[3].name = "model"; }), Contains("its record 3 is in no folder"));
  CHECK_THAT(after([](Records& r) { r[3].unpacked_size = 1; }), Contains("its record 3 is damaged"));
  CHECK_THAT(after([](Records& r) { r[3].method = 99; }), Contains("its record 3 is damaged"));
  CHECK_THAT(after([](Records& r) { r[r.size() - 3].method = 8; }), Contains("no data.pkl, or a compressed one"));
  const auto add_bomb = [](Records& r) { r.push_back({"model/bomb", "x", 8, std::uint64_t{3} << 30}); };
  CHECK_THAT(after(add_bomb), Contains("what is compressed in it expands to more than 67108864 bytes"));
  const auto add_bombs = [](Records& r) {
    for (int i = 0; i < 70; ++i) r.push_back({"model/" + std::to_string(i), "x", 8, 1 << 20});
  };
  CHECK_THAT(after(add_bombs), Contains("what is compressed in it expands to more than 67108864 bytes"));
  CHECK_THAT(after([](Records& r) { r.resize(1 << 17, {"model/x", ""}); }), Contains("it has more than 65536 records"));
  CHECK_THAT(after([](Records& r) { r[r.size() - 2].bytes = "big"; }), Contains("are not little-endian"));
  CHECK_THAT(after([](Records& r) { r[r.size() - 3].bytes.resize((1 << 20) + 1); }),
             Contains("its data.pkl is larger than 1048576 bytes"));
}

TEST_CASE("archive: records that lie upon each other") {
  // Twenty entries for the same kilobytes: a few bytes each would multiply the file.
  std::string file = archive({{"model/a", std::string(5000, 'x')}});
  const std::size_t begin = file.find("PK\x01\x02");
  const std::string entry = file.substr(begin, 46 + 7);
  std::string entries;
  for (char i = 0; i < 20; ++i) entries += entry.substr(0, entry.size() - 1) + static_cast<char>('a' + i);
  file.replace(begin, entry.size(), entries);
  const std::size_t end = begin + entries.size();
  file.replace(end + 24, 8, little_endian(20, 8));
  file.replace(end + 32, 8, little_endian(20, 8));
  file.replace(end + 64, 8, little_endian(end, 8));
  CHECK_THROWS_WITH(TorchArchive(file, "model.pt"), Contains("its records are larger than the file"));
}

TEST_CASE("pickle: what a module of tensors and numbers does not need is refused, never executed") {
  const auto raw = [](const std::string& pickle) { return with("last.q.bias", pickle); };
  CHECK_THAT(raw("cos\nsystem\n(" + ModelFile::text("echo") + "tR"), Contains("data.pkl: it calls a function"));
  CHECK_THAT(raw("cbuiltins\neval\n)R"), Contains("data.pkl: it calls a function"));
  CHECK_THAT(raw("(" + ModelFile::text("other") + "tQ"), Contains("it refers to what is no storage"));
  CHECK_THAT(raw("(ios\nsystem\n"), Contains("it has an instruction, 105,"));  // INST
  CHECK_THAT(raw("I5\n"), Contains("it has an instruction, 73,"));             // INT
  // An object whose class has a __setstate__ has a state that is no dictionary.
  CHECK_THAT(raw("c__torch__\nEvil\n)\x81(" + ModelFile::number(1) + "tb"), Contains("do not fit together"));
  for (const char* pickle : {"u", "b", "R", "Q", "\x81", "h\xFF", "q\xFF", "r\xFF\xFF\xFF\xFF"}) {
    CHECK_THAT(raw(pickle), Contains("its instructions do not fit together"));
  }
  CHECK_THAT(raw("X\xFF\xFF\xFF\xFF"), Contains("it is cut off"));
  CHECK_THAT(raw("."), Contains("it does not end with one value"));
  CHECK_THAT(raw("N" + ModelFile::text("last") + "N"), Contains("an object's attributes") || Contains("no tensor"));
  CHECK_THAT(of_pickle(""), Contains("it is cut off"));
  CHECK_THAT(of_pickle("\x80\x05N."), Contains("not of protocol 2"));
  CHECK_THAT(of_pickle("\x80\x02N."), Contains("its whole is no module"));
  CHECK_THAT(of_pickle("\x80\x02"
                       "c__torch__\nModule\n)\x81."),
             Contains("its whole is no module"));
  CHECK_THAT(of_pickle("\x80\x02"
                       "c__torch__"),
             Contains("it is cut off"));
}

TEST_CASE("pickle: nesting and cycles end") {
  const std::string begin = "\x80\x02";
  CHECK_THAT(of_pickle(begin + std::string(100'000, '(') + std::string(100'000, 't') + '.'),
             Contains("its whole is no module"));
  const std::string object = "c__torch__\nM\n)\x81";
  const std::string words = "}(" + ModelFile::text("words");
  std::string nested;
  for (int i = 0; i < 20'000; ++i) nested += object + words;
  nested += 'N';
  for (int i = 0; i < 20'000; ++i) nested += "ub";
  CHECK_THAT(of_pickle(begin + nested + '.'), Contains("words is no tensor"));
  // A module that is its own part.
  const std::string zero(1, '\0');
  CHECK_THAT(of_pickle(begin + object + 'q' + zero + words + 'h' + zero + "ub."), Contains("words is no tensor"));
}

TEST_CASE("weights: damage of every kind ends in weights or one line") {
  const std::string whole = distilbert().bytes();
  REQUIRE(complaint(whole).empty());
  for (std::size_t size = 0; size < whole.size(); size += 7) CHECK(!complaint(whole.substr(0, size)).empty());
  std::mt19937 random(1);
  for (int i = 0; i < 5000; ++i) {
    std::string damaged = whole;
    for (auto flips = random() % 3 + 1; flips > 0; --flips) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    complaint(damaged);
  }
}

}  // namespace reviewrate
