#include <cstring>

#include "src/base/checked.h"
#include "src/base/fail.h"
#include "src/data/formats.h"
#include "src/data/npy_header.h"

namespace tercel::data {
namespace {

class NpyRows : public FileRecords {
 public:
  explicit NpyRows(OpenFile file) : file_(std::move(file)) {
    header_ = read_npy_header(file_.name,
                              [this](void* out, std::size_t count) { return read(out, count); });
    if (header_.shape.empty()) malformed_npy(file_.name, "a scalar, which has no rows");
    left_ = header_.shape.front();
    header_.shape.erase(header_.shape.begin());
    const std::size_t size = bytes_of(header_.dtype, element_count(header_.shape));
    if (size == 0 && left_ > 0) malformed_npy(file_.name, "its rows have no elements");
    if (size > file_.max_record_bytes) {
      fail(Errc::invalid_file, "{}: a row of it is {}", file_.name,
           too_long(file_.max_record_bytes));
    }
  }

  bool next(Record& record) override {
    if (left_ == 0) {
      char more = 0;
      if (read(&more, 1)) malformed_npy(file_.name, "bytes follow the elements");
      return false;
    }
    Tensor row(header_.dtype, header_.shape);
    if (!read(row.data(), row.bytes())) malformed_npy(file_.name, "it ends too early");
    record.raw.assign(static_cast<const char*>(row.data()), row.bytes());
    normalize_booleans(row);
    record.fields.push_back({"array", std::move(row)});
    --left_;
    return true;
  }

 private:
  bool read(void* out, std::size_t count) {
    auto* to = static_cast<char*>(out);
    for (std::size_t done = 0; done < count;) {
      const std::size_t got = file_.bytes->read({to + done, count - done});
      if (got == 0) return false;
      done += got;
    }
    return true;
  }

  OpenFile file_;
  NpyHeader header_;  // of a row
  int64_t left_ = 0;
};

}  // namespace

std::unique_ptr<FileRecords> npy_rows(OpenFile file) {
  return std::make_unique<NpyRows>(std::move(file));
}

}  // namespace tercel::data
