// Memory of tensors that live no longer than a forward pass: a thread keeps it for its next one.
#pragma once

namespace reviewrate {

/// Makes libtorch, and oneDNN under it, take memory by this file's rules from here on. To be called before they hold
/// any: what oneDNN took by other rules it would give back by these.
void use_tensor_memory();

/// While one is alive, what this thread's tensors give back is kept for the tensors that it makes under the next. Left
/// to malloc, a gigabyte a second would come and go in large blocks, with faults on fresh pages, and a heap that is cut
/// up more and more.
class ReusedTensorMemory {
 public:
  ReusedTensorMemory();
  ~ReusedTensorMemory();
  ReusedTensorMemory(const ReusedTensorMemory&) = delete;
  ReusedTensorMemory& operator=(const ReusedTensorMemory&) = delete;
};

}  // namespace reviewrate
