// The module that alone links libsentencepiece. libsentencepiece 0.1.97 and libtorch both export FLAGS_minloglevel, as
// objects of different size, and a program that links both hangs (https://github.com/google/sentencepiece/issues/944);
// src/tokenizer/sentencepiece.cpp opens this module in a way that keeps them apart.
#include "sentencepiece_module.h"

#include <sentencepiece_processor.h>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

// libsentencepiece exports these two but installs no header with them.
namespace sentencepiece::logging {
void SetMinLogLevel(int level);
}
namespace google::protobuf {
enum LogLevel : int;
using LogHandler = void (*)(LogLevel, const char*, int, const std::string&);
LogHandler SetLogHandler(LogHandler handler);
}  // namespace google::protobuf

namespace {

/// A number as protocol buffers write it, taken from the front of `bytes`.
std::uint64_t take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7FU} << shift;
    if (byte < 0x80) return value;
  }
  throw std::runtime_error("it is damaged or not a SentencePiece model");
}

/// The model without anything but its pieces and training settings: loading would also run the self-tests that a file
/// brings, through a normalizer whose table the library does not check.
std::string essentials(std::string_view bytes) {
  constexpr std::uint64_t kPiecesTag = 1U << 3U | 2U;
  constexpr std::uint64_t kTrainerTag = 2U << 3U | 2U;
  std::string kept;
  while (!bytes.empty()) {
    const std::string_view field = bytes;
    const std::uint64_t tag = take_varint(bytes);
    const std::uint64_t size = (tag & 7U) == 2 ? take_varint(bytes) : bytes.size() + 1;  // all fields are messages
    if (size > bytes.size()) throw std::runtime_error("it is damaged or not a SentencePiece model");
    bytes.remove_prefix(size);
    if (tag == kPiecesTag || tag == kTrainerTag) kept += field.substr(0, field.size() - bytes.size());
  }
  return kept;
}

int read(std::string_view bytes, ReviewrateAddPiece add, void* target) {
  constexpr int kFatal = 3;  // what is wrong comes back as a status; nothing is to be written to stderr
  sentencepiece::logging::SetMinLogLevel(kFatal);
  google::protobuf::SetLogHandler(nullptr);
  sentencepiece::SentencePieceProcessor processor;
  const auto status = processor.LoadFromSerializedProto(essentials(bytes));
  if (!status.ok()) throw std::runtime_error(status.error_message());
  for (int id = 0; id < processor.GetPieceSize(); ++id) {
    const std::string& piece = processor.IdToPiece(id);
    add(target, piece.data(), piece.size(), processor.GetScore(id), processor.IsUnused(id) ? 0 : 1);
  }
  return processor.unk_id();
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int reviewrate_read_sentencepiece(const char* bytes, std::size_t size,
                                                                                    ReviewrateAddPiece add,
                                                                                    void* target, char* message,
                                                                                    std::size_t message_size) {
  try {
    const int unknown = read({bytes, size}, add, target);
    if (unknown >= 0) return unknown;
    throw std::runtime_error("it has no unknown piece");
  } catch (const std::exception& e) {
    std::snprintf(message, message_size, "%s", e.what());
  }
  return -1;
}
