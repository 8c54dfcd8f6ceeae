// Output that is compressed while it is written.
#pragma once

#include <memory>
#include <string>

#include "reviewrate/output_stream.h"

namespace reviewrate {

/// Compresses a stream of bytes piece by piece.
class Compressor {
 public:
  virtual ~Compressor() = default;

  /// Takes `bytes`, and appends to `out` what is ready. Throws Error(environment) if memory is lacking.
  virtual void add(const std::string& bytes, std::string& out) = 0;

  /// Appends the rest; nothing may be added after it.
  virtual void finish(std::string& out) = 0;
};

/// Null for none.
std::unique_ptr<Compressor> make_compressor(Compression compression);

}  // namespace reviewrate
