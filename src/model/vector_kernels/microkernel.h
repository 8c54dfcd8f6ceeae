// The microkernel that all products share: a tile of sums in registers (the picture is in vector_kernels.cpp).
#pragma once

#include "vectors.h"

namespace reviewrate {
namespace REVIEWRATE_KERNELS {
namespace {

// A tile's kTileRows x kTileVectors vectors of sums leave registers for the operands.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr std::size_t kTileRows = 8;     // BLIS: MR
constexpr std::size_t kTileVectors = 3;  // BLIS: NR, in vectors
#else
constexpr std::size_t kTileRows = 6;
constexpr std::size_t kTileVectors = 2;
#endif

/// Products of single values, in fp32.
struct Fp32 {
  using Sum = Vector;
  static constexpr std::size_t kGroup = 1;  ///< values of consecutive k in a 32-bit lane

  /// sum + a b for each lane, with the group `a` for all lanes.
  static Vector add_product(Vector sum, float a, Vector b) { return sum + a * b; }
};

/// Calls epilogue(sums) with sums [kTileRows, Columns vectors] = a [kTileRows, depth] b [depth, Columns vectors], the
/// rows a_step and b_step apart, all in lanes of Products::kGroup values.
template <typename Products, std::size_t Columns, typename Epilogue>
inline void multiply_tile(const float* a, std::size_t a_step, const float* b, std::size_t b_step, std::size_t depth,
                          const Epilogue& epilogue) {
  using Sum = typename Products::Sum;
  Sum sums[kTileRows][Columns] = {};
#pragma GCC unroll 2
  for (std::size_t k = 0; k < depth; ++k) {
    Vector row[Columns];
    for (std::size_t j = 0; j < Columns; ++j) row[j] = load(b + k * b_step + j * kLanes);
    for (std::size_t r = 0; r < kTileRows; ++r) {
      float group;
      __builtin_memcpy(&group, a + r * a_step + k, sizeof group);  // it may be of another type
      for (std::size_t j = 0; j < Columns; ++j) sums[r][j] = Products::add_product(sums[r][j], group, row[j]);
    }
  }
  Sum tile[kTileRows][Columns];  // what is handed on has an address, which would keep the sums themselves in memory
  for (std::size_t r = 0; r < kTileRows; ++r) {
    for (std::size_t j = 0; j < Columns; ++j) tile[r][j] = sums[r][j];
  }
  epilogue(tile);
}

/// The same for any number of columns that is a multiple of kLanes: calls epilogue(c, sums) with the sums from column
/// c on.
template <typename Products, typename Epilogue>
inline void multiply_tiles(const float* a, std::size_t a_step, const float* b, std::size_t b_step, std::size_t depth,
                           std::size_t columns, const Epilogue& epilogue) {
  std::size_t begin = 0;
  const auto shifted = [&](auto& sums) { epilogue(begin, sums); };
  for (; begin + kTileVectors * kLanes <= columns; begin += kTileVectors * kLanes) {
    multiply_tile<Products, kTileVectors>(a, a_step, b + begin, b_step, depth, shifted);
  }
  if constexpr (kTileVectors > 2) {
    if (columns - begin == 2 * kLanes) {
      return multiply_tile<Products, 2>(a, a_step, b + begin, b_step, depth, shifted);
    }
  }
  if (columns - begin == kLanes) multiply_tile<Products, 1>(a, a_step, b + begin, b_step, depth, shifted);
}

/// The vectors of a tile, to the rows of y that are `step` apart.
template <std::size_t Rows, std::size_t Columns>
inline void store_tile(const Vector (&tile)[Rows][Columns], float* y, std::size_t step) {
  for (std::size_t r = 0; r < Rows; ++r) {
    for (std::size_t j = 0; j < Columns; ++j) store(y + r * step + j * kLanes, tile[r][j]);
  }
}

}  // namespace
}  // namespace REVIEWRATE_KERNELS
}  // namespace reviewrate
