// The kernels of kernels.h, for the width of vectors that this file is compiled for: once for each, in a namespace of
// its own (REVIEWRATE_KERNELS). Nothing from the standard library but types is used, and all that vector_kernels/*.h
// define has internal linkage: an inline function, compiled here for a wide vector unit, might otherwise be the copy
// that the linker keeps for all.
//
// A product, y [rows, out] = x [rows, in] W^T, in the terms of BLIS (https://doi.org/10.1145/2764454):
//
//                                  NR = kPanelColumns
//                                 +------------------+   A panel: NR rows of W, transposed, for all k. pack_weight()
//                            k=0  | W[j..j+NR)[0]    |   stores panel after panel, so that the microkernel reads
//                            k=1  | W[j..j+NR)[1]    |   one after another what it needs for each k. The last panel
//                              :  |    :             |   has as many rows as are left, in whole vectors.
//                         k=in-1  | W[j..j+NR)[in-1] |   fp16 becomes fp32 once a call, in scratch (L2).
//                                 +------------------+
//             k=0 ........ k=in-1
//            +--------------------+------------------+   A tile: MR x NR sums, in registers for all k. The microkernel
//  MR =      | x[i..i+MR)         | tile of y        |   adds, for each k, MR values of x, each broadcast to all
//  kTileRows | (not packed)       |                  |   lanes, times the panel's row k. Its epilogue adds the bias,
//            +--------------------+------------------+   applies the activation and stores.
//            | x[i+MR..i+2MR)     | next tile        |
//
//   for each panel                  BLIS's jr loop, here the outer one: a panel is widened once
//     for each tile of rows         BLIS's ir loop; MC is the caller's block of rows
//       for each k                  the microkernel; KC = in
//
// AVX-512: MR x NR = 8 x 48, 24 of 32 registers hold sums; NEON: 8 x 12, the same; AVX2: 6 x 16, 12 of 16; else 6 x 8
// of 4 lanes.
//
// In int8 and bf16, a 32-bit lane holds a group of kGroup = 4 or 2 values of consecutive k (the layout of VNNI and of
// NEON's dot products; the matrix instructions of I8MM take 8):
//
//   panel, kGroup = 4:   W[j][0..3]  W[j+1][0..3]  ...  W[j+NR-1][0..3]     k = 0..3
//                        W[j][4..7]  W[j+1][4..7]  ...                      k = 4..7
//
// Attention uses the same microkernel twice a head: scores = Q K^T with the keys transposed, so that a lane is a key,
// and context = P V, where a lane is a column of the values.
#include "vector_kernels/attention.h"
#include "vector_kernels/int8_products.h"
#include "vector_kernels/norm.h"
#include "vector_kernels/products.h"

namespace reviewrate {
namespace REVIEWRATE_KERNELS {

#define REVIEWRATE_STRING_OF(x) #x
#define REVIEWRATE_STRING(x) REVIEWRATE_STRING_OF(x)

extern const Kernels kernels;
const Kernels kernels = {REVIEWRATE_STRING(REVIEWRATE_KERNELS),
                         kMaxQuantized,
                         kInt8IsFast,
                         packed_weight_size,
                         product_scratch,
                         attention_scratch,
                         quantize_weight,
                         pack_weight,
                         pack_int8_weight,
                         multiply,
                         multiply_int8,
                         attend<Fp32Attention, float>,
                         attend<Bf16Attention, Bf16>,
                         attend<Bf16Attention, float>,
                         add_norm<float>,
                         add_norm<Bf16>,
                         quantize_rows,
                         dequantize_products};

}  // namespace REVIEWRATE_KERNELS
}  // namespace reviewrate
