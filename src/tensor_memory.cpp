// An allocator for libtorch with a list of kept blocks for each thread; see the header.
#include "tensor_memory.h"

#include <c10/core/Allocator.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>
#include <vector>

namespace reviewrate {
namespace {

constexpr std::size_t kAlignment = 64;  // of cache lines and the widest vectors
constexpr std::size_t kLeast = 4096;    // smaller blocks malloc keeps as well

/// In the bytes before what is handed out.
struct alignas(kAlignment) Block {
  std::size_t size;
  std::size_t pass;  ///< in which it was used last
};

struct KeptBlocks {
  std::vector<Block*> blocks;
  ~KeptBlocks() {
    for (Block* block : blocks) std::free(block);
  }
};

thread_local bool t_keeps = false;
thread_local std::size_t t_pass = 0;
thread_local KeptBlocks t_kept;

/// The next of four sizes between each power of two and the next, so that a block suits neighbouring sizes too.
std::size_t rounded(std::size_t size) {
  const std::size_t step = std::max(kAlignment, std::bit_floor(size) / 4);
  return (size + step - 1) / step * step;
}

void give_back(void* memory) {
  if (memory == nullptr) return;
  Block* block = static_cast<Block*>(memory) - 1;
  if (t_keeps && block->size >= kLeast) {
    t_kept.blocks.push_back(block);
  } else {
    std::free(block);
  }
}

Block* take(std::size_t size) {
  if (t_keeps && size >= kLeast) {
    std::vector<Block*>& kept = t_kept.blocks;
    // The smallest that is large enough and not wasted; of equals the last one given back, likeliest to be in the
    // cache.
    auto found = kept.rend();
    for (auto it = kept.rbegin(); it != kept.rend(); ++it) {
      const bool suits = (*it)->size >= size && (*it)->size <= 2 * size;
      if (suits && (found == kept.rend() || (*it)->size < (*found)->size)) found = it;
    }
    if (found != kept.rend()) {
      Block* block = *found;
      kept.erase(std::next(found).base());
      block->pass = t_pass;
      return block;
    }
  }
  void* memory = std::aligned_alloc(kAlignment, sizeof(Block) + size);
  if (memory == nullptr) throw std::bad_alloc();
  return new (memory) Block{size, t_pass};
}

class TensorMemory final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t size) override {
    void* memory = size == 0 ? nullptr : take(rounded(size)) + 1;
    return {memory, memory, give_back, c10::DeviceType::CPU};
  }
  c10::DeleterFnPtr raw_deleter() const override { return give_back; }
  void copy_data(void* to, const void* from, std::size_t size) const override { default_copy_data(to, from, size); }
};

}  // namespace

void use_tensor_memory() {
  static TensorMemory memory;
  c10::SetAllocator(c10::DeviceType::CPU, &memory, /*priority=*/1);
}

ReusedTensorMemory::ReusedTensorMemory() {
  t_keeps = true;
  ++t_pass;
}

ReusedTensorMemory::~ReusedTensorMemory() {
  t_keeps = false;
  // What this pass had no use for, the next is unlikely to need: lengths change, and with them some sizes.
  std::erase_if(t_kept.blocks, [](Block* block) {
    const bool unused = block->pass != t_pass;
    if (unused) std::free(block);
    return unused;
  });
}

}  // namespace reviewrate
