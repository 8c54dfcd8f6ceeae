// Loading the tokenizer of a SentencePiece model.
#pragma once

#include <memory>
#include <string>

#include "reviewrate/unigram.h"

namespace reviewrate {

/// The tokenizer of the SentencePiece model (unigram) at `model`, with the table of rules at `charsmap` unless that is
/// empty. The model is read by the SentencePiece library, which is loaded only now. Throws Error(model), and
/// Error(environment) if the library cannot be had.
std::unique_ptr<UnigramTokenizer> load_sentencepiece(const std::string& model, const std::string& charsmap,
                                                     UnigramOptions options);

}  // namespace reviewrate
