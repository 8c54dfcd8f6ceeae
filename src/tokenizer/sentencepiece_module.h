// What the program and the module that alone links libsentencepiece say to each other: plain C, so that neither sees
// the other's exceptions, types or memory.
#pragma once

#include <cstddef>

extern "C" {

/// Takes one piece, in the order of ids. `in_text`: whether it may be cut out of a text (0: the model calls it unused).
using ReviewrateAddPiece = void (*)(void* target, const char* text, std::size_t size, float score, int in_text);

/// Reads the model in `bytes` and calls `add` for each piece. Returns the id of the unknown piece, or -1 with the
/// reason in `message` (NUL-terminated, cut to `message_size`).
using ReviewrateReadSentencePiece = int (*)(const char* bytes, std::size_t size, ReviewrateAddPiece add, void* target,
                                            char* message, std::size_t message_size);
}

/// The name of the function in the module.
inline constexpr const char* kReadSentencePiece = "reviewrate_read_sentencepiece";
