// Opening the SentencePiece module, and reading a model through it. The module is needed only by packages that ask for
// it, and it must be kept apart from libtorch (src/tokenizer/sentencepiece_module.cpp says why).
#include "reviewrate/sentencepiece.h"

#include <dlfcn.h>

#include <array>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "reviewrate/error.h"
#include "sentencepiece_module.h"

namespace reviewrate {
namespace {

namespace fs = std::filesystem;

#define REVIEWRATE_TEXT_OF_(name) #name
#define REVIEWRATE_TEXT_OF(name) REVIEWRATE_TEXT_OF_(name)

/// Beside the program in a build folder, or in ../lib/reviewrate where it is installed.
fs::path module_path() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const char* way : {".", "../lib/reviewrate"}) {
    fs::path candidate = (program / way / "reviewrate_sentencepiece.so").lexically_normal();
    if (fs::exists(candidate, error)) return candidate;
  }
  throw Error(ErrorKind::environment, "SentencePiece: reviewrate_sentencepiece.so is not beside " + program.string());
}

ReviewrateReadSentencePiece open_module() {
#ifdef REVIEWRATE_NO_DEEPBIND
  // AddressSanitizer refuses RTLD_DEEPBIND, without which libtorch and libsentencepiece share a variable.
  constexpr int kApart = 0;
  if (::dlsym(RTLD_DEFAULT, "FLAGS_minloglevel") != nullptr) {
    throw Error(ErrorKind::environment, "SentencePiece: cannot be used beside libtorch in a sanitizer build");
  }
#else
  constexpr int kApart = RTLD_DEEPBIND;
#endif
  void* module = ::dlopen(module_path().c_str(), RTLD_NOW | RTLD_LOCAL | kApart);
  void* function = module == nullptr ? nullptr : ::dlsym(module, REVIEWRATE_TEXT_OF(REVIEWRATE_READ_SENTENCEPIECE));
  if (function == nullptr)
    throw Error(ErrorKind::environment, std::string("SentencePiece: cannot be loaded: ") + ::dlerror());
  return reinterpret_cast<ReviewrateReadSentencePiece>(function);
}

UnigramVocab read_model(const FileBytes& model) {
  static const ReviewrateReadSentencePiece read = open_module();
  UnigramVocab vocab;
  const auto add = [](void* target, const char* text, std::size_t size, float score, int in_text) {
    static_cast<UnigramVocab*>(target)->pieces.push_back({std::string(text, size), score, in_text != 0});
  };
  std::array<char, 256> message{};
  vocab.unknown = read(model.bytes.data(), model.bytes.size(), add, &vocab, message.data(), message.size());
  if (vocab.unknown < 0) throw Error(ErrorKind::model, model.path + ": cannot be used: " + message.data());
  return vocab;
}

}  // namespace

std::unique_ptr<UnigramTokenizer> load_sentencepiece(const FileBytes& model, const std::optional<FileBytes>& charsmap,
                                                     UnigramOptions options) {
  return std::make_unique<UnigramTokenizer>(read_model(model),
                                            charsmap ? Charsmap(charsmap->bytes, charsmap->path) : Charsmap(),
                                            std::move(options), model.path);
}

}  // namespace reviewrate
