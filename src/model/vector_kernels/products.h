// Linear layers in fp32 with fp16 weights, and what they share with those in int8: packed weights and the epilogue.
#pragma once

#include "microkernel.h"

namespace reviewrate {
namespace REVIEWRATE_KERNELS {
namespace {

constexpr std::size_t kPanelColumns = kTileVectors * kLanes;  // BLIS: NR

std::size_t packed_weight_size(std::size_t out, std::size_t in) { return round_up(out, kLanes) * in; }

std::size_t product_scratch(std::size_t in) { return in * kPanelColumns; }

/// Columns of a panel for at most so many rows of a weight.
constexpr std::size_t panel_width(std::size_t rows_left) {
  return rows_left < kPanelColumns ? round_up(rows_left, kLanes) : kPanelColumns;
}

/// Packs a weight [out, in] in groups of `Group` values of k, with zeros from in to depth and beyond the last row.
template <std::size_t Group, typename T>
void pack_groups(const T* weight, std::size_t out, std::size_t in, std::size_t depth, T* packed) {
  constexpr std::size_t kBlock = 64 / sizeof(T);  // values of k at a time, as a cache line brings so many
  for (std::size_t begin = 0; begin < out; begin += kPanelColumns) {
    const std::size_t width = panel_width(out - begin);
    for (std::size_t block = 0; block < depth; block += kBlock) {
      const std::size_t end = block + kBlock < depth ? block + kBlock : depth;
      for (std::size_t j = 0; j < width; ++j) {
        const std::size_t filled = begin + j < out ? in : 0;
        for (std::size_t k = block; k < end; ++k) {
          packed[(k / Group * width + j) * Group + k % Group] = k < filled ? weight[(begin + j) * in + k] : T{};
        }
      }
    }
    packed += width * depth;
  }
}

void pack_weight(const Half* weight, std::size_t out, std::size_t in, Half* packed) {
  pack_groups<Fp32::kGroup>(weight, out, in, in, packed);
}

/// A panel's part of a vector with an entry for each row of a weight, filled up with zeros.
inline void load_part(const float* x, std::size_t n, float (&part)[kPanelColumns]) {
  for (std::size_t c = 0; c < kPanelColumns; ++c) part[c] = c < n ? x[c] : 0.0F;
}

/// Calls body(first) for each `Rows` rows; the last ones may be some of those before, too.
template <std::size_t Rows, typename Body>
inline void for_row_tiles(std::size_t rows, const Body& body) {
  for (std::size_t begin = 0; begin < rows; begin += Rows) body(begin + Rows <= rows ? begin : rows - Rows);
}

/// The epilogue: adds the bias, applies the activation and stores a tile's first `wanted` columns to the rows of y that
/// are `step` apart.
template <std::size_t Rows, std::size_t Columns>
inline void finish_tile(Vector (&tile)[Rows][Columns], const float* bias, Activation activation, float* y,
                        std::size_t step, std::size_t wanted) {
  for (auto& row : tile) {
    for (std::size_t j = 0; j < Columns; ++j) row[j] += load(bias + j * kLanes);
    activate(activation, row);
  }
  if (wanted >= Columns * kLanes) return store_tile(tile, y, step);
  for (std::size_t r = 0; r < Rows; ++r) {
    for (std::size_t c = 0; c < wanted; ++c) y[r * step + c] = tile[r][c / kLanes][c % kLanes];
  }
}

void multiply(const Product& args) {
  for (std::size_t begin = 0; begin < args.out; begin += kPanelColumns) {
    const std::size_t wanted = args.out - begin < kPanelColumns ? args.out - begin : kPanelColumns;
    const std::size_t width = panel_width(wanted);
    const Half* const panel = args.weight + begin * args.in;
    for (std::size_t i = 0; i < width * args.in; i += kLanes) store(args.scratch + i, load(panel + i));
    float bias[kPanelColumns];
    load_part(args.bias + begin, wanted, bias);
    for_row_tiles<kTileRows>(args.rows, [&](std::size_t first) {
      float* const y = args.y + first * args.out + begin;
      const auto epilogue = [&](std::size_t c, auto& tile) {
        finish_tile(tile, bias + c, args.activation, y + c, args.out, wanted - c);
      };
      multiply_tiles<Fp32>(args.x + first * args.in, args.in, args.scratch, width, args.in, width, epilogue);
    });
  }
}

}  // namespace
}  // namespace REVIEWRATE_KERNELS
}  // namespace reviewrate
