// Attention of one window, a head at a time: softmax(Q K^T / sqrt(size)) V (https://arxiv.org/abs/1706.03762).
#pragma once

#include "microkernel.h"

namespace reviewrate {
namespace REVIEWRATE_KERNELS {
namespace {

constexpr float kMasked = -1e30F;           ///< the score of a key that is not there
constexpr std::size_t kPrefetchedRows = 8;  ///< a head's part of a row lies far from the next row's

template <typename T>
inline void prefetch(const T* p, std::size_t n) {
  constexpr std::size_t kLine = 64 / sizeof(T);
  for (std::size_t i = 0; i < n; i += kLine) __builtin_prefetch(p + i);
}

/// How attention puts values into the lanes that multiply_tile() reads, in fp32: one a lane.
struct Fp32Attention : Fp32 {
  template <typename T>
  static void to_groups(const T* x, std::size_t n, float* groups) {
    for (std::size_t k = 0; k < n; ++k) groups[k] = widen(x[k]);
  }

  /// Value rows become one row of groups; there is a single one here.
  template <typename T>
  static void interleave_rows(const T* x, const T*, std::size_t n, float* groups) {
    to_groups(x, n, groups);
  }

  static void to_groups_in_place(float*, std::size_t) {}
};

#ifdef __AVX512BF16__
inline Bf16 to_bf16(float x) {
  Bf16 rounded;
  narrow(x, rounded);
  return rounded;
}

inline Bf16 to_bf16(Bf16 x) { return x; }

/// The same in pairs of bf16 values, whose products are added up in fp32: half the instructions.
struct Bf16Attention {
  using Sum = Vector;
  static constexpr std::size_t kGroup = 2;

  static Vector add_product(Vector sum, float a, Vector b) {
    return _mm512_dpbf16_ps(sum, __builtin_bit_cast(__m512bh, _mm512_set1_ps(a)), __builtin_bit_cast(__m512bh, b));
  }

  /// `n` values -> n / 2 groups, rounded up.
  template <typename T>
  static void to_groups(const T* x, std::size_t n, float* groups) {
    auto* const bytes = reinterpret_cast<unsigned char*>(groups);
    for (std::size_t k = 0; k < n; ++k) {
      const Bf16 value = to_bf16(x[k]);
      __builtin_memcpy(bytes + 2 * k, &value, sizeof value);
    }
    if (n % 2 != 0) __builtin_memset(bytes + 2 * n, 0, 2);
  }

  /// Group k is (x[k], y[k]); without y, (x[k], 0).
  template <typename T>
  static void interleave_rows(const T* x, const T* y, std::size_t n, float* groups) {
    for (std::size_t k = 0; k < n; ++k) {
      const std::uint32_t first = to_bf16(x[k]).bits;
      const std::uint32_t second = y == nullptr ? 0 : to_bf16(y[k]).bits;
      groups[k] = __builtin_bit_cast(float, first | second << 16);
    }
  }

  /// `n` floats, a multiple of 2 kLanes -> n / 2 groups.
  static void to_groups_in_place(float* row, std::size_t n) {
    for (std::size_t i = 0; i < n; i += 2 * kLanes) {
      const __m512bh pairs = _mm512_cvtne2ps_pbh(load(row + i + kLanes), load(row + i));
      store(row + i / 2, __builtin_bit_cast(Vector, pairs));
    }
  }
};
#else
using Bf16Attention = Fp32Attention;
#endif

/// Sizes of what a head needs, in floats or groups.
template <typename Products>
struct HeadSizes {
  HeadSizes(std::size_t key_count, std::size_t size)
      : groups(round_up(size, Products::kGroup) / Products::kGroup),
        keys(round_up(key_count, kLanes * Products::kGroup)),
        key_step(keys + kLanes),
        value_rows(round_up(key_count, Products::kGroup) / Products::kGroup),
        columns(round_up(size, kLanes)) {}

  std::size_t scratch() const {
    return (groups + kTileRows + 1) * key_step + (value_rows + kTileRows + kLanes) * columns + kTileRows * groups;
  }

  std::size_t groups;      ///< of a query or key
  std::size_t keys;        ///< in whole vectors
  std::size_t key_step;    ///< rows a power of two apart would compete for the same cache lines
  std::size_t value_rows;  ///< of groups of consecutive keys
  std::size_t columns;     ///< of values and context, in whole vectors
};

/// A head in scratch memory. Its keys and values are loaded once, then kTileRows queries at a time are answered.
template <typename Products>
struct Head : HeadSizes<Products> {
  using Sizes = HeadSizes<Products>;

  Head(std::size_t key_count, std::size_t size, float* scratch)
      : Sizes(key_count, size),
        transposed_keys(scratch),
        values(transposed_keys + this->groups * this->key_step),
        scores(values + this->value_rows * this->columns),
        queries(scores + kTileRows * this->key_step),
        context(queries + kTileRows * this->groups),
        key_tile(context + kTileRows * this->columns),
        received(key_tile + kLanes * this->columns) {}

  float* transposed_keys;  ///< [groups, key_step], of which `keys` are used
  float* values;           ///< [value_rows, columns]
  float* scores;           ///< [kTileRows, key_step], of which `keys` are used; softmax() makes them probabilities
  float* queries;          ///< [kTileRows, groups]
  float* context;          ///< [kTileRows, columns]
  float* key_tile;         ///< [kLanes, columns]: keys before they are transposed
  float* received;         ///< [key_step], of which `keys` are used: Attention::received
};

std::size_t attention_scratch(std::size_t keys, std::size_t size) {
  const std::size_t fp32 = HeadSizes<Fp32Attention>(keys, size).scratch();
  const std::size_t bf16 = HeadSizes<Bf16Attention>(keys, size).scratch();
  return fp32 > bf16 ? fp32 : bf16;
}

/// Loads keys, transposed, and values of head h. Gives zero, or NaN if a key holds NaN or infinity: a score of minus
/// infinity would only make a probability of zero.
template <typename Products, typename T>
inline float load_head(const Attention<T>& args, std::size_t h, const Head<Products>& head) {
  const std::size_t size = args.size;
  const auto key = [&](std::size_t i) { return args.key[i] + h * size; };
  const auto value = [&](std::size_t i) { return i < args.keys ? key(i) + args.heads * size : nullptr; };
  float bad_keys = 0.0F;
  for (std::size_t begin = 0; begin < head.keys; begin += kLanes) {
    for (std::size_t i = begin; i < begin + kLanes; ++i) {
      float* const groups = head.key_tile + (i - begin) * head.columns;
      if (i >= args.keys) {
        __builtin_memset(groups, 0, sizeof(float) * head.groups);
        continue;
      }
      if (i + kPrefetchedRows < args.keys) {
        prefetch(key(i + kPrefetchedRows), size);
        prefetch(value(i + kPrefetchedRows), size);
      }
      Products::to_groups(key(i), size, groups);
      bad_keys += nonfinite(key(i), size);
      if (i % Products::kGroup != 0) continue;
      float* const row = head.values + i / Products::kGroup * head.columns;
      Products::interleave_rows(value(i), value(i + 1), size, row);
      if (head.columns > size) __builtin_memset(row + size, 0, sizeof(float) * (head.columns - size));
    }
    for (std::size_t group = 0; group < head.groups; group += kLanes) {
      Vector tile[kLanes];
      for (std::size_t i = 0; i < kLanes; ++i) tile[i] = load(head.key_tile + i * head.columns + group);
      transpose(tile);
      for (std::size_t k = 0; k < kLanes && group + k < head.groups; ++k) {
        store(head.transposed_keys + (group + k) * head.key_step + begin, tile[k]);
      }
    }
  }
  return bad_keys;
}

/// Loads the queries from `begin` on; missing ones at the end are zeros, whose results nobody looks at.
template <typename Products, typename T>
inline void load_queries(const Attention<T>& args, std::size_t h, std::size_t begin, const Head<Products>& head) {
  const auto query = [&](std::size_t i) { return args.query[i] + h * args.size; };
  for (std::size_t r = 0; r < kTileRows; ++r) {
    if (begin + kTileRows + r < args.queries) prefetch(query(begin + kTileRows + r), args.size);
    float* const groups = head.queries + r * head.groups;
    if (begin + r < args.queries) {
      Products::to_groups(query(begin + r), args.size, groups);
    } else {
      for (std::size_t k = 0; k < head.groups; ++k) groups[k] = 0.0F;
    }
  }
}

/// scores = Q K^T, for `keys` keys; kMasked beyond them.
template <typename Products>
inline void compute_scores(std::size_t keys, const Head<Products>& head) {
  multiply_tiles<Products>(head.queries, head.groups, head.transposed_keys, head.key_step, head.groups, head.keys,
                           [&](std::size_t c, const auto& tile) { store_tile(tile, head.scores + c, head.key_step); });
  for (std::size_t r = 0; r < kTileRows; ++r) {
    for (std::size_t i = keys; i < head.keys; ++i) head.scores[r * head.key_step + i] = kMasked;
  }
}

/// scores -> 2^(scale (score - row max)), and one over the sum of each row, which is NaN where a score is NaN or plus
/// infinity. Row beside row, since a single one would wait for each of its own steps.
template <typename Products>
inline void softmax(float scale, const Head<Products>& head, float (&inverse_sums)[kTileRows]) {
  Vector largest[kTileRows];
  for (std::size_t r = 0; r < kTileRows; ++r) largest[r] = load(head.scores + r * head.key_step);
  for (std::size_t i = kLanes; i < head.keys; i += kLanes) {
    for (std::size_t r = 0; r < kTileRows; ++r) {
      largest[r] = larger(largest[r], load(head.scores + r * head.key_step + i));
    }
  }
  float row_max[kTileRows];
  for (std::size_t r = 0; r < kTileRows; ++r) row_max[r] = max_of(largest[r]) * scale;
  Vector sums[kTileRows];
  for (std::size_t r = 0; r < kTileRows; ++r) {
    float* const row = head.scores + r * head.key_step;
    const float scaled_max = row_max[r];
    Vector sum = {};
    for (std::size_t i = 0; i < head.keys; i += kLanes) {
      const Vector p = exp2_of(load(row + i) * scale - scaled_max);
      store(row + i, p);
      sum += p;
    }
    sums[r] = sum;
  }
  for (std::size_t r = 0; r < kTileRows; ++r) inverse_sums[r] = 1.0F / sum_of(sums[r]);
}

/// Adds the tile's probabilities, those of row r times inverse_sums[r], to what their keys have received.
template <typename Products>
inline void add_received(const Head<Products>& head, const float (&inverse_sums)[kTileRows]) {
  for (std::size_t i = 0; i < head.keys; i += kLanes) {
    Vector sum = {};
    for (std::size_t r = 0; r < kTileRows; ++r) sum += load(head.scores + r * head.key_step + i) * inverse_sums[r];
    store(head.received + i, load(head.received + i) + sum);
  }
}

/// context = P V, which leaves nothing of P.
template <typename Products>
inline void compute_context(const Head<Products>& head) {
  for (std::size_t r = 0; r < kTileRows; ++r) Products::to_groups_in_place(head.scores + r * head.key_step, head.keys);
  multiply_tiles<Products>(head.scores, head.key_step, head.values, head.columns, head.value_rows, head.columns,
                           [&](std::size_t c, const auto& tile) { store_tile(tile, head.context + c, head.columns); });
}

template <typename Products, typename T>
void attend(const Attention<T>& args) {
  const Head<Products> head(args.keys, args.size, args.scratch);
  const float scale = 1.44269504F / std::sqrt(static_cast<float>(args.size));  // 2^(x log2(e)) = e^x
  const bool received = args.received != nullptr;
  if (received) __builtin_memset(head.received, 0, sizeof(float) * head.keys);
  for (std::size_t h = 0; h < args.heads; ++h) {
    const float bad_keys = load_head(args, h, head);
    for (std::size_t begin = 0; begin < args.queries; begin += kTileRows) {
      load_queries(args, h, begin, head);
      compute_scores(args.keys, head);
      float inverse_sums[kTileRows];
      softmax(scale, head, inverse_sums);
      const std::size_t rows = args.queries - begin < kTileRows ? args.queries - begin : kTileRows;
      for (std::size_t r = 0; r < rows; ++r) {
        inverse_sums[r] += bad_keys + nonfinite(args.query[begin + r] + h * args.size, args.size);
      }
      for (std::size_t r = rows; r < kTileRows; ++r) inverse_sums[r] = 0.0F;  // there is no such query
      if (received) add_received(head, inverse_sums);
      compute_context(head);
      for (std::size_t r = 0; r < rows; ++r) {
        T* const out = args.out + ((begin + r) * args.heads + h) * args.size;
        for (std::size_t k = 0; k < args.size; ++k) {
          narrow(head.context[r * head.columns + k] * inverse_sums[r], out[k]);
        }
      }
    }
  }
  if (received) __builtin_memcpy(args.received, head.received, sizeof(float) * args.keys);
}

}  // namespace
}  // namespace REVIEWRATE_KERNELS
}  // namespace reviewrate
