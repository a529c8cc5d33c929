// The model as pieces: encoded text, and the elements of large initializers where they lie. Nothing
// large is copied; the pieces go to the file one after the other.

#include <algorithm>

#include <protozero/varint.hpp>

#include "src/base/atomic_file.h"
#include "src/base/fail.h"
#include "src/ir/onnx_encode.h"
#include "src/ir/onnx_fields.h"
#include "src/ir/onnx_file.h"

namespace tercel::ir {
namespace {

using Writer = protozero::pbf_writer;
using protozero::pbf_wire_type;

constexpr std::size_t kAlignment = 8;  // of raw data in the file, so that a map of it can be used
constexpr std::size_t kCopied = 4096;  // smaller tensors are no pieces of their own
constexpr int kLengthBytes = 5;        // of the graph's length, which is known last

struct Piece {
  std::string text;
  std::span<const std::byte> data;
};

// The range of a tensor in the external file.
struct Place {
  std::size_t offset;
  std::size_t length;
};
using Places = std::map<const Value*, Place>;

// A varint of `width` bytes; leading zeros are valid, and readers take them.
void add_wide_varint(std::string& out, uint64_t value, int width) {
  for (int i = 0; i < width; ++i) {
    const bool last = i + 1 == width;
    out.push_back(static_cast<char>((value & 0x7fU) | (last ? 0U : 0x80U)));
    value >>= 7U;
  }
}

int varint_width(uint64_t value) { return protozero::length_of_varint(value); }

void add_key(std::string& out, uint32_t field, pbf_wire_type type) {
  protozero::add_varint_to_buffer(&out, field << 3U | static_cast<uint32_t>(type));
}

class Pieces {
 public:
  Pieces(const Model& model, const Places& external, const std::string& location)
      : external_(external), location_(location) {
    write_model_head(model);
    const std::size_t length_at = pieces_.back().text.size();
    pieces_.back().text.append(kLengthBytes, '\0');
    const std::size_t begin = size();
    write_graph(model.graph);
    std::string length;
    add_wide_varint(length, size() - begin, kLengthBytes);
    pieces_.front().text.replace(length_at, kLengthBytes, length);
    write_model_tail(model);
  }

  const std::vector<Piece>& all() const { return pieces_; }
  std::size_t size() const { return written_ + pieces_.back().text.size(); }

 private:
  std::string& text() { return pieces_.back().text; }

  void write_model_head(const Model& model) {
    Writer out(text());
    out.add_int64(proto::model::ir_version, model.ir_version);
    if (!model.producer_name.empty()) {
      out.add_string(proto::model::producer_name, model.producer_name);
    }
    if (!model.producer_version.empty()) {
      out.add_string(proto::model::producer_version, model.producer_version);
    }
    if (!model.domain.empty()) out.add_string(proto::model::domain, model.domain);
    if (model.model_version != 0) out.add_int64(proto::model::model_version, model.model_version);
    if (!model.doc.empty()) out.add_string(proto::model::doc_string, model.doc);
    add_key(text(), proto::model::graph, pbf_wire_type::length_delimited);
  }

  void write_graph(const Graph& graph) {
    {
      Writer out(text());
      encode_graph_head(out, graph);
    }
    for (const Value* value : graph.initializers()) write_initializer(*value);
    Writer out(text());
    encode_graph_tail(out, graph);
  }

  void write_model_tail(const Model& model) {
    Writer out(text());
    encode_opsets(out, proto::model::opset_import, model.opsets);
    encode_metadata(out, proto::model::metadata_props, model.metadata);
    for (const auto& function : model.functions) {
      Writer part(out, proto::model::functions);
      encode_function(part, *function);
    }
  }

  void write_initializer(const Value& value) {
    const Tensor& tensor = value.initializer();
    const std::string doc = value.is_graph_input() ? std::string() : value.doc;
    const Metadata metadata = value.is_graph_input() ? Metadata() : value.metadata;
    if (const auto found = external_.find(&value); found != external_.end()) {
      Writer graph(text());
      Writer out(graph, proto::graph::initializer);
      write_external(out, value, found->second);
      encode_metadata(out, proto::tensor::metadata_props, metadata);
    } else if (tensor.dtype() == Dtype::string) {
      Writer graph(text());
      Writer out(graph, proto::graph::initializer);
      encode_tensor(out, tensor, value.name(), doc, metadata);
    } else {
      write_raw(value, doc, metadata);
    }
  }

  void write_external(Writer& out, const Value& value, const Place& place) {
    encode_dims(out, value.initializer().shape());
    out.add_int32(proto::tensor::data_type, static_cast<int32_t>(value.initializer().dtype()));
    out.add_string(proto::tensor::name, value.name());
    encode_metadata(out, proto::tensor::external_data,
                    {{"location", location_},
                     {"offset", std::to_string(place.offset)},
                     {"length", std::to_string(place.length)}});
    out.add_int32(proto::tensor::data_location, 1);
  }

  // The fields before raw_data end with data_type, whose number is widened so that the elements lie
  // aligned in the file.
  void write_raw(const Value& value, const std::string& doc, const Metadata& metadata) {
    const Tensor& tensor = value.initializer();
    const auto bytes = raw_bytes(tensor);
    std::string head;
    Writer fields(head);
    encode_dims(fields, tensor.shape());
    fields.add_string(proto::tensor::name, value.name());
    if (!doc.empty()) fields.add_string(proto::tensor::doc_string, doc);
    encode_metadata(fields, proto::tensor::metadata_props, metadata);
    add_key(head, proto::tensor::data_type, pbf_wire_type::varint);
    std::string tail;
    add_key(tail, proto::tensor::raw_data, pbf_wire_type::length_delimited);
    protozero::add_varint_to_buffer(&tail, bytes.size());

    add_key(text(), proto::graph::initializer, pbf_wire_type::length_delimited);
    const std::size_t fixed = head.size() + tail.size() + bytes.size();
    // Widths 1 to 9 of the number: one of them aligns, also when the length's own width grows.
    int width = 1;
    while (true) {
      const std::size_t length = fixed + static_cast<std::size_t>(width);
      const std::size_t at = size() + static_cast<std::size_t>(varint_width(length)) + head.size() +
                             static_cast<std::size_t>(width) + tail.size();
      if (at % kAlignment == 0 || width == 10) break;
      ++width;
    }
    protozero::add_varint_to_buffer(&text(), fixed + static_cast<std::size_t>(width));
    text() += head;
    add_wide_varint(text(), static_cast<uint64_t>(tensor.dtype()), width);
    text() += tail;
    if (bytes.size() < kCopied) {
      text().append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return;
    }
    pieces_.back().data = bytes;
    written_ += pieces_.back().text.size() + bytes.size();
    pieces_.emplace_back();
  }

  const Places& external_;
  const std::string& location_;
  std::vector<Piece> pieces_{1};
  std::size_t written_ = 0;  // of all pieces but the last
};

void write_pieces(AtomicFile& file, const Pieces& pieces) {
  for (const Piece& piece : pieces.all()) {
    file.write(piece.text);
    file.write(piece.data);
  }
}

// Large tensors start at a page, as the specification advises; the others at a cache line.
Places write_external_file(const Graph& graph, std::size_t threshold, AtomicFile& file) {
  constexpr std::size_t kPage = 4096;
  constexpr std::size_t kLine = 64;
  Places places;
  for (const Value* value : graph.initializers()) {
    const auto bytes = raw_bytes(value->initializer());
    if (value->initializer().dtype() == Dtype::string || bytes.size() < threshold) continue;
    file.pad_to(bytes.size() >= 16 * kPage ? kPage : kLine);
    places[value] = {file.size(), bytes.size()};
    file.write(bytes);
  }
  return places;
}

void check_size(const Pieces& pieces, const std::string& what) {
  if (pieces.size() <= kLargestFile) return;
  fail(Errc::unsupported,
       "{}: the model takes {} bytes; protobuf allows 2 GiB, the rest must be "
       "external data",
       what, pieces.size());
}

}  // namespace

std::string serialize_onnx(const Model& model) {
  const Places none;
  const Pieces pieces(model, none, {});
  check_size(pieces, "serialize_onnx");
  std::string bytes;
  bytes.reserve(pieces.size());
  for (const Piece& piece : pieces.all()) {
    bytes += piece.text;
    bytes.append(reinterpret_cast<const char*>(piece.data.data()), piece.data.size());
  }
  return bytes;
}

void write_onnx(const Model& model, const std::filesystem::path& path,
                const WriteOptions& options) {
  const Places none;
  if (!options.external) {
    const Pieces pieces(model, none, {});
    if (pieces.size() <= std::min(options.largest, kLargestFile)) {
      AtomicFile file(path);
      write_pieces(file, pieces);
      return file.commit();
    }
  }
  const std::string location = path.filename().string() + ".data";
  AtomicFile data(path.parent_path() / location);
  const Places places = write_external_file(model.graph, options.external_threshold, data);
  const Pieces pieces(model, places, location);
  check_size(pieces, path.string());
  AtomicFile file(path);
  write_pieces(file, pieces);
  if (!places.empty()) data.commit();
  file.commit();
}

}  // namespace tercel::ir
