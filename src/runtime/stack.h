#pragma once
// What the iterations of a Loop or Scan give, side by side on a new axis.

#include <string>

#include "src/ops/cpu.h"

namespace tercel::runtime {

class Stack {
 public:
  // `name` begins messages: "[Loop "l"] scan output 0".
  Stack(std::string name, Allocator& memory) : name_(std::move(name)), memory_(memory) {}

  // Makes room for so many items of the first one's size.
  void reserve(int64_t items) { reserved_ = items; }
  // Copies the item. Throws Errc::invalid_argument when its shape is not that of the first.
  void add(const Tensor& item);
  // The items along `axis` of the result, the last one first when `reversed`. Without any item the
  // result is empty and has the dimensions that are known of `type`, an item's.
  Tensor finish(const ir::Type& type, int64_t axis, bool reversed, ThreadPool& pool) const;

 private:
  void grow();

  std::string name_;
  Allocator& memory_;
  Dtype dtype_ = Dtype::undefined;  // of an item
  Shape shape_;
  // Of the strings in the rows.
  using Counts = std::vector<std::shared_ptr<const void>>;
  std::shared_ptr<Counts> counts_ = std::make_shared<Counts>();
  Tensor rows_;  // flat, with room for capacity_ items
  int64_t count_ = 0;
  int64_t capacity_ = 0;
  int64_t reserved_ = 0;
};

// Item `index` of `tensor` along `axis`: a view where it lies in one piece, otherwise a copy.
Tensor take_item(const Tensor& tensor, int64_t axis, int64_t index, const ops::KernelRun& run);

}  // namespace tercel::runtime
