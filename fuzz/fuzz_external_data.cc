// A model whose initializers lie in other files: the input is lines of "location NUL offset NUL
// length NUL elements", one a tensor. The folder of the model has files, folders, links out of it
// and into it, and a FIFO. An Error, or bytes that lie in the folder's own files.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>

#include <protozero/pbf_writer.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "src/ir/onnx_encode.h"
#include "src/ir/onnx_fields.h"
#include "src/ir/onnx_file.h"

namespace {

namespace fs = std::filesystem;
using namespace tercel;
using protozero::pbf_writer;

constexpr char kInside = 'i';
constexpr char kOutside = 'o';

// Made once, removed when the process ends.
class Folder {
 public:
  Folder()
      : base_(fs::temp_directory_path() / ("tercel-fuzz-" + std::to_string(::getpid()))),
        model_(base_ / "model") {
    fs::create_directories(model_ / "sub");
    write(base_ / "outside.bin", kOutside);
    write(model_ / "a.bin", kInside);
    write(model_ / "sub" / "b.bin", kInside);
    fs::create_symlink("../outside.bin", model_ / "out.bin");
    fs::create_symlink("a.bin", model_ / "in.bin");
    fs::create_symlink("loop.bin", model_ / "loop.bin");
    fs::create_symlink("/dev/zero", model_ / "zero");
    fs::create_directory_symlink("..", model_ / "up");
    if (::mkfifo((model_ / "fifo").c_str(), 0600) != 0) std::abort();
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(base_, ignored);
  }
  const fs::path& model() const { return model_; }

 private:
  static void write(const fs::path& path, char content) {
    std::ofstream(path) << std::string(100, content);
  }

  fs::path base_;
  fs::path model_;
};

std::string_view take(std::string_view& text, char end) {
  const std::size_t at = std::min(text.find(end), text.size());
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return taken;
}

void add_tensor(pbf_writer& graph, std::string_view line, int index) {
  pbf_writer tensor(graph, ir::proto::graph::initializer);
  tensor.add_string(ir::proto::tensor::name, "w" + std::to_string(index));
  tensor.add_int32(ir::proto::tensor::data_type, static_cast<int32_t>(Dtype::u8));
  tensor.add_int32(ir::proto::tensor::data_location, 1);
  for (const char* key : {"location", "offset", "length"}) {
    pbf_writer entry(tensor, ir::proto::tensor::external_data);
    const std::string_view value = take(line, '\0');
    entry.add_string(ir::proto::entry::key, key);
    entry.add_bytes(ir::proto::entry::value, value.data(), value.size());
  }
  ir::encode_dims(tensor, {std::atoll(std::string(take(line, '\0')).c_str())});
}

std::string model_of(std::string_view text) {
  std::string bytes;
  pbf_writer model(bytes);
  model.add_int64(ir::proto::model::ir_version, ir::kIrVersion);
  {
    pbf_writer graph(model, ir::proto::model::graph);
    for (int i = 0; !text.empty(); ++i) add_tensor(graph, take(text, '\n'), i);
  }
  ir::encode_opsets(model, ir::proto::model::opset_import, {{"", ir::kOpset}});
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  static const Folder folder;
  const std::string bytes = model_of({reinterpret_cast<const char*>(data), size});
  try {
    const auto model = ir::parse_onnx(std::as_bytes(std::span(bytes)), "fuzz.onnx", folder.model());
    for (const ir::Value* value : model->graph.initializers()) {
      for (const uint8_t element : value->initializer().values<uint8_t>()) {
        if (element != kInside) std::abort();
      }
    }
  } catch (const Error&) {
    return 0;
  }
  return 0;
}
