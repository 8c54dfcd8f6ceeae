// Loading the tokenizer of a SentencePiece model.
#pragma once

#include <memory>
#include <optional>

#include "reviewrate/file.h"
#include "reviewrate/unigram.h"

namespace reviewrate {

/// The tokenizer of a SentencePiece model (unigram), with its table of normalization rules if it has one. The model is
/// read by the SentencePiece library, which is loaded only now. Throws Error(model), and Error(environment) if the
/// library cannot be had.
std::unique_ptr<UnigramTokenizer> load_sentencepiece(const FileBytes& model, const std::optional<FileBytes>& charsmap,
                                                     UnigramOptions options);

}  // namespace reviewrate
