// Free lists by rounded size; see the header.
#include "tensor_pool.h"

#include <c10/core/CPUAllocator.h>

#include <bit>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

namespace reviewrate {
namespace {

constexpr std::size_t kSmallest = std::size_t{1} << 14;  // smaller ones are malloc's business
constexpr std::size_t kAlignment = 64;

class TensorPool final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t size) override {
    if (size < kSmallest) return small_->allocate(size);
    Block* block = take(rounded(size));
    return {block->data(), block, &give_back, c10::Device(c10::DeviceType::CPU)};
  }

  void copy_data(void* to, const void* from, std::size_t count) const override { default_copy_data(to, from, count); }

  static TensorPool& instance() {
    static auto* pool = new TensorPool;  // never destroyed: tensors of static life may outlive everything
    return *pool;
  }

 private:
  /// What stands before the tensor's data.
  struct alignas(kAlignment) Block {
    std::size_t size;

    void* data() { return this + 1; }
  };

  /// The next size with three bits after its first.
  static std::size_t rounded(std::size_t size) {
    const std::size_t step = std::bit_floor(size) / 8;
    return (size + step - 1) / step * step;
  }

  Block* take(std::size_t size) {
    {
      const std::lock_guard lock(mutex_);
      std::vector<Block*>& free = free_[size];
      if (!free.empty()) {
        Block* block = free.back();
        free.pop_back();
        return block;
      }
    }
    void* memory = std::aligned_alloc(kAlignment, sizeof(Block) + size);
    if (memory == nullptr) throw std::bad_alloc();
    return new (memory) Block{size};
  }

  static void give_back(void* context) {
    auto* block = static_cast<Block*>(context);
    TensorPool& pool = instance();
    const std::lock_guard lock(pool.mutex_);
    pool.free_[block->size].push_back(block);
  }

  c10::Allocator* small_ = c10::GetDefaultCPUAllocator();
  std::mutex mutex_;
  std::map<std::size_t, std::vector<Block*>> free_;
};

}  // namespace

void use_tensor_pool() { c10::SetCPUAllocator(&TensorPool::instance()); }

}  // namespace reviewrate
