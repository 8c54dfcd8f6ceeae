// Opening the SentencePiece module, and reading a model through it. The module is needed only by packages that ask for
// it, and it must be kept apart from libtorch (src/tokenizer/sentencepiece_module.cpp says why).
#include "reviewrate/sentencepiece.h"

#include <dlfcn.h>

#include <array>
#include <memory>
#include <utility>

#include "reviewrate/error.h"
#include "reviewrate/module_loader.h"
#include "sentencepiece_module.h"

namespace reviewrate {
namespace {

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
  return reinterpret_cast<ReviewrateReadSentencePiece>(
      module_function("SentencePiece", "reviewrate_sentencepiece.so", kReadSentencePiece, kApart));
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
