#pragma once
// A BERT's checkpoint of any size, for what loads one. Its weights are zeros that take no room on
// the disk, until somebody writes over them.

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "src/hub/safetensors_dtype.h"
#include "tercel/tensor.h"

namespace tercel {

class BertCheckpoint {
 public:
  // Heads have 64 columns, and what is between the products of a layer four times the hidden size.
  BertCheckpoint(const std::filesystem::path& folder, int64_t hidden, int64_t layers,
                 int64_t vocabulary, Dtype dtype)
      : file_(folder / "model.safetensors"), dtype_(dtype) {
    std::filesystem::create_directories(folder);
    write_config(folder, hidden, layers, vocabulary);
    add("embeddings.word_embeddings.weight", {vocabulary, hidden});
    add("embeddings.position_embeddings.weight", {kPositions, hidden});
    add("embeddings.token_type_embeddings.weight", {2, hidden});
    add_pair("embeddings.LayerNorm", {hidden});
    for (int64_t i = 0; i < layers; ++i) add_layer("encoder.layer." + std::to_string(i), hidden);
    header_ += "}";
    header_.resize((header_.size() + 7) / 8 * 8, ' ');
    const uint64_t length = header_.size();
    std::ofstream(file_, std::ios::binary)
            .write(reinterpret_cast<const char*>(&length), sizeof(length))
        << header_;
    begin_ = sizeof(length) + length;
    std::filesystem::resize_file(file_, begin_ + bytes_);
  }

  const std::filesystem::path& file() const { return file_; }
  std::size_t begin() const { return begin_; }      // of the weights in the file
  std::size_t bytes() const { return bytes_; }      // of the weights
  std::size_t largest() const { return largest_; }  // of them

 private:
  static constexpr int64_t kPositions = 512;

  static void write_config(const std::filesystem::path& folder, int64_t hidden, int64_t layers,
                           int64_t vocabulary) {
    std::ofstream(folder / "config.json")
        << R"({"model_type": "bert", "architectures": ["BertModel"], "hidden_act": "gelu",)"
        << R"("layer_norm_eps": 1e-12, "type_vocab_size": 2, "max_position_embeddings": )"
        << kPositions << R"(, "hidden_size": )" << hidden << R"(, "num_hidden_layers": )" << layers
        << R"(, "num_attention_heads": )" << hidden / 64 << R"(, "intermediate_size": )"
        << 4 * hidden << R"(, "vocab_size": )" << vocabulary << "}";
  }
  void add_layer(const std::string& layer, int64_t hidden) {
    for (const char* name : {"self.query", "self.key", "self.value", "output.dense"})
      add_pair(layer + ".attention." + name, {hidden, hidden});
    add_pair(layer + ".attention.output.LayerNorm", {hidden});
    add_pair(layer + ".intermediate.dense", {4 * hidden, hidden});
    add_pair(layer + ".output.dense", {hidden, 4 * hidden});
    add_pair(layer + ".output.LayerNorm", {hidden});
  }
  void add_pair(const std::string& name, const Shape& shape) {
    add(name + ".weight", shape);
    add(name + ".bias", {shape[0]});
  }
  void add(const std::string& name, const Shape& shape) {
    const std::size_t bytes = bytes_of(dtype_, element_count(shape));
    std::string dims;
    for (const int64_t dim : shape) dims += (dims.empty() ? "" : ",") + std::to_string(dim);
    header_ += (header_.size() > 1 ? ",\"" : "\"") + name + R"(":{"dtype":")" +
               std::string(hub::safetensors_name(dtype_)) + R"(","shape":[)" + dims +
               R"(],"data_offsets":[)" + std::to_string(bytes_) + "," +
               std::to_string(bytes_ + bytes) + "]}";
    bytes_ += bytes;
    largest_ = std::max(largest_, bytes);
  }

  std::filesystem::path file_;
  Dtype dtype_;
  std::string header_ = "{";
  std::size_t begin_ = 0;
  std::size_t bytes_ = 0;
  std::size_t largest_ = 0;
};

}  // namespace tercel
