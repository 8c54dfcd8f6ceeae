// Memory for libtorch's tensors that is used again instead of being given back.
#pragma once

namespace reviewrate {

/// From now on large CPU tensors of this process take their memory from a pool; may be called more than once.
///
/// Every pack has another number of tokens, so its tensors are of ever new sizes, each allocated with an alignment. In
/// glibc before 2.38 such memory is hardly ever used again (https://sourceware.org/bugzilla/show_bug.cgi?id=14581):
/// the process grew to several times what it needed. The pool rounds sizes up, by an eighth at most, so that packs
/// meet each other's blocks; it holds what was needed at the same time.
void use_tensor_pool();

}  // namespace reviewrate
