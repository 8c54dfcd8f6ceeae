// Some records of many, by chance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "reviewrate/input.h"

namespace reviewrate {

/// `count` records of `source`, each choice of them as likely as any other, in their order; all if there are no more.
/// The same ones whenever source and `seed` are the same. Reads `source` to its end before it gives the first one, and
/// keeps no more than `count` records.
std::unique_ptr<Source> sample(std::unique_ptr<Source> source, std::size_t count, std::uint64_t seed);

}  // namespace reviewrate
