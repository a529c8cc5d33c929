#include "src/data/checked_dataset.h"

#include <zlib.h>

#include "src/base/fail.h"

namespace tercel::data {
namespace {

uint32_t extended(uint32_t checksum, const std::string& raw) {
  const auto length = static_cast<uint64_t>(raw.size());
  uLong value = crc32_z(checksum, reinterpret_cast<const Bytef*>(&length), sizeof length);
  value = crc32_z(value, reinterpret_cast<const Bytef*>(raw.data()), raw.size());
  return static_cast<uint32_t>(value);
}

}  // namespace

bool CheckedDataset::next(Record& record) {
  if (!dataset_->next(record)) return false;
  const std::lock_guard lock(mutex_);
  checksums_.push_back(extended(checksums_.back(), record.raw));
  return true;
}

bool CheckedDataset::skip(int64_t count) {
  Record record;
  for (int64_t i = 0; i < count; ++i) {
    if (!next(record)) return false;
    checksum_before(i + 1);
  }
  return true;
}

uint32_t CheckedDataset::checksum_before(int64_t index) {
  const std::lock_guard lock(mutex_);
  while (first_ < index) {
    TERCEL_CHECK(checksums_.size() > 1);
    checksums_.pop_front();
    ++first_;
  }
  return checksums_.front();
}

}  // namespace tercel::data
