#include "src/hub/models/rotary.h"

#include <cmath>
#include <vector>

#include "src/base/fail.h"

namespace tercel::hub {

using ir::Value;

Rotary rotary(Net& net, Value* ids, int64_t head_size, double theta) {
  if (head_size % 2 != 0 || !(theta > 0)) {
    fail(Errc::invalid_file,
         "{}: rotary positions of theta {} over heads of {}; expected a positive theta and an even "
         "number",
         net.config_path(), theta, head_size);
  }
  std::vector<float> speeds;
  for (int64_t i = 0; i < head_size; i += 2) {
    const float part = static_cast<float>(i) / static_cast<float>(head_size);
    speeds.push_back(1.0F / std::pow(static_cast<float>(theta), part));
  }
  net.scope("rotary");
  Value* places = net.places(ids);
  Value* speed = net.b.constant(Tensor::from(speeds, {head_size / 2}));
  Value* angles = net.b.mul(net.b.unsqueeze(net.b.cast(places, Dtype::f32), {1}), speed);
  return {net.b.op("Cos", {angles}), net.b.op("Sin", {angles}),
          net.b.op("Expand", {places, net.b.op("Shape", {ids})})};
}

Value* rotate(Net& net, const Rotary& rotary, Value* x, int64_t heads) {
  return net.b.op("RotaryEmbedding", {x, rotary.cosines, rotary.sines, rotary.positions},
                  {{"num_heads", heads}});
}

}  // namespace tercel::hub
