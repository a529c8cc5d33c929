// Which layers of a model lie where: by sizes alone, so nothing runs.

#include "src/session/spread.h"

#include <filesystem>
#include <unordered_set>

#include <gtest/gtest.h>

#include "src/ir/text.h"
#include "src/session/input_sizes.h"
#include "src/session/workshop.h"
#include "tercel/plan.h"
#include "tercel/session.h"
#include "tests/bert_checkpoint.h"
#include "tests/random_weights.h"
#include "tests/source_folder.h"

namespace tercel {
namespace {

std::vector<ModelLayer> layers_with(const std::vector<std::size_t>& weights,
                                    std::size_t activations) {
  std::vector<ModelLayer> layers;
  for (const std::size_t bytes : weights) layers.push_back({"", {}, bytes, activations});
  return layers;
}

using Places = std::vector<std::size_t>;

TEST(Spread, FillsDevicesInOrder) {
  const auto layers = layers_with({10, 10, 10, 10, 10}, 5);
  EXPECT_EQ(spread(layers, std::vector<DeviceRoom>{{100}, {0}}), (Places{0, 0, 0, 0, 0}));
  EXPECT_EQ(spread(layers, std::vector<DeviceRoom>{{55}, {0}}), (Places{0, 0, 0, 0, 0}));
  EXPECT_EQ(spread(layers, std::vector<DeviceRoom>{{54}, {0}}), (Places{0, 0, 0, 0, 1}));
  EXPECT_EQ(spread(layers, std::vector<DeviceRoom>{{25}, {26}, {0}}), (Places{0, 0, 1, 1, 2}));
  EXPECT_EQ(spread(layers, std::vector<DeviceRoom>{{14}, {15}, {0}}), (Places{1, 2, 2, 2, 2}));
  EXPECT_EQ(spread(layers, std::vector<DeviceRoom>{{0}}), (Places{0, 0, 0, 0, 0}));
  EXPECT_TRUE(spread({}, std::vector<DeviceRoom>{{5}}).empty());
}

// A large layer is not followed on the device by the small ones behind it.
TEST(Spread, NeverGoesBack) {
  EXPECT_EQ(spread(layers_with({10, 90, 1, 1}, 0), std::vector<DeviceRoom>{{50}, {0}}),
            (Places{0, 1, 1, 1}));
  auto layers = layers_with({10, 10, 10}, 0);
  layers[1].activation_bytes = 40;
  EXPECT_EQ(spread(layers, std::vector<DeviceRoom>{{50}, {0}}), (Places{0, 1, 1}));
}

// Of the devices that have room, none is given so much that the others wait for it.
TEST(Spread, SharesTheTimeOut) {
  auto layers = layers_with({10, 10, 10, 10}, 0);
  for (ModelLayer& layer : layers) layer.flops = layer.moved_bytes = 1;
  const auto places = [&](const std::vector<DeviceRoom>& rooms) { return spread(layers, rooms); };
  EXPECT_EQ(places({{30, 1, 1}, {30, 1, 1}, {0, 1, 1}}), (Places{0, 0, 1, 1}));
  EXPECT_EQ(places({{30, 1, 1}, {30, 1, 4}, {0, 1, 1}}), (Places{0, 0, 1, 1}));
  EXPECT_EQ(places({{30, 1, 1}, {30, 4, 4}, {0, 1, 1}}), (Places{0, 1, 1, 1}));
  EXPECT_EQ(places({{40, 1, 1}, {30, 4, 4}, {0, 1, 1}}), (Places{0, 0, 0, 0}));  // one has room
  EXPECT_EQ(places({{20, 9, 9}, {10, 9, 9}, {0, 1, 1}}), (Places{0, 0, 1, 2}));
  layers[0].flops = 5;
  EXPECT_EQ(places({{30, 1, 1}, {30, 1, 1}, {0, 1, 1}}), (Places{0, 1, 1, 1}));
}

TEST(Spread, TimeIsTheLongerOfComputingAndMoving) {
  ModelLayer layer;
  layer.flops = 100;
  layer.moved_bytes = 30;
  EXPECT_DOUBLE_EQ(predicted_seconds(layer, {0, 10, 10}), 10);
  EXPECT_DOUBLE_EQ(predicted_seconds(layer, {0, 1, 10}), 30);
}

std::vector<ModelLayer> layers_of(const ir::Model& model, int64_t batch, int64_t sequence,
                                  Dtype kept = Dtype::f32) {
  return layers_of(model.graph, infer_sized(model, {{}, sequence, batch}).facts, kept,
                   batch * sequence, sequence);
}

TEST(Layers, AreCutByTheNamesOfNodes) {
  auto model = ir::parse_text(
      "g (float[batch,4] x, float[4,4] A, float[4,8] B, float[8,4] C, float[4,2] D)"
      " => (float[batch,2] y) {"
      "  [\"embed/MatMul\"] a = MatMul(x, A)"
      "  [\"net/layer/0/up/MatMul\"] b = MatMul(a, B) [\"net/layer/0/Relu\"] c = Relu(b)"
      "  [\"net/layer/0/down/MatMul\"] d = MatMul(c, C)"
      "  [\"/net/layer.1/up/MatMul\"] e = MatMul(d, B) f = Relu(e)"
      "  [\"/net/layer.1/down/MatMul\"] h = MatMul(f, C)"
      "  [\"head/MatMul\"] y = MatMul(h, D) }");
  make_weights(model->graph, 1);
  const auto layers = layers_of(*model, 3, 1);
  ASSERT_EQ(layers.size(), 4U);
  const char* const names[] = {"embed", "net/layer/0", "net/layer/1", "head"};
  const std::size_t weights[] = {64, 256, 256, 32};
  const double flops[] = {96, 384, 384, 48};
  const std::size_t nodes[] = {1, 3, 3, 1};
  // x and a; a, b or b, c or c, d; …: rows of 4, 8 or 2 elements.
  const std::size_t alive[] = {96, 192, 192, 72};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    EXPECT_EQ(layers[i].name, names[i]);
    EXPECT_EQ(layers[i].weight_bytes, weights[i]) << names[i];
    EXPECT_EQ(layers[i].flops, flops[i]) << names[i];
    EXPECT_EQ(layers[i].nodes.size(), nodes[i]) << names[i];
    EXPECT_EQ(layers[i].activation_bytes, alive[i]) << names[i];
  }
  EXPECT_DOUBLE_EQ(layers[0].moved_bytes, 96 + 64);
  using Bytes = std::vector<double>;
  EXPECT_EQ(received_bytes(layers, Places{0, 0, 1, 1}, 3), (Bytes{0, 48, 0}));
  EXPECT_EQ(received_bytes(layers, Places{0, 1, 1, 2}, 3), (Bytes{0, 48, 48}));
  EXPECT_EQ(layers_of(*model, 3, 1, Dtype::f16)[1].weight_bytes, 128U);
}

// Weights in front of which something stands that is computed at load count as they are kept.
TEST(Layers, WithoutNamesAreCutByWeights) {
  auto model = ir::parse_text(
      "g (float[batch,256] x, float[256,256] A, float[256] B) => (float[batch,256] y) {"
      "  t = Transpose(A) a = MatMul(x, t) b = Add(a, B) c = MatMul(b, A) y = Add(c, B) }");
  make_weights(model->graph, 1);
  const auto layers = layers_of(*model, 1, 1);
  ASSERT_EQ(layers.size(), 2U);
  EXPECT_EQ(layers[0].weight_bytes, (256U * 256 + 256) * 4);
  EXPECT_EQ(layers[1].weight_bytes, (256U * 256 + 256) * 4);
}

// A view takes nothing, and what it sees lives as long as it does.
TEST(Layers, ViewsAreWhatTheySee) {
  auto model = ir::parse_text(
      "g (float[batch,8] x) => (float[batch,2,4] y) <int64[3] s = {-1, 2, 4}> {"
      "  a = Relu(x) b = Reshape(a, s) c = Relu(x) d = Reshape(c, s) y = Add(b, d) }");
  const auto layers = layers_of(*model, 1, 1);
  ASSERT_EQ(layers.size(), 1U);
  EXPECT_EQ(layers[0].activation_bytes, 3U * 32);
}

// A value that several layers of a device read comes once, and one of long before comes, too.
TEST(Layers, ReceiveWhatEarlierDevicesMade) {
  auto model = ir::parse_text(
      "g (float[batch,4] x, float[4,4] A, float[4,4] B, float[4,4] C, float[4,4] D)"
      " => (float[batch,4] y) {"
      "  [\"net/layer/0/MatMul\"] a = MatMul(x, A) [\"net/layer/1/MatMul\"] b = MatMul(a, B)"
      "  [\"net/layer/2/MatMul\"] c = MatMul(b, C) [\"net/layer/2/Add\"] d = Add(c, a)"
      "  [\"net/layer/3/MatMul\"] e = MatMul(d, D) [\"net/layer/3/Add\"] y = Add(e, a) }");
  make_weights(model->graph, 1);
  const auto layers = layers_of(*model, 5, 1, Dtype::f16);
  ASSERT_EQ(layers.size(), 4U);
  using Bytes = std::vector<double>;
  EXPECT_EQ(received_bytes(layers, Places{0, 1, 2, 2}, 3), (Bytes{0, 40, 80}));
  EXPECT_EQ(received_bytes(layers, Places{0, 0, 0, 1}, 3), (Bytes{0, 80, 0}));
  EXPECT_EQ(received_bytes(layers, Places{2, 2, 2, 2}, 3), (Bytes{0, 0, 0}));
}

std::filesystem::path checkpoint(const std::string& name) {
  return source_folder(TERCEL_SOURCE_DIR) / "tests/data/checkpoints" / name;
}

TEST(Layers, OfACheckpointHaveEachNodeOnce) {
  for (const bool optimized : {false, true}) {
    auto model = read_model(checkpoint("bert_qa"), "");
    const Workshop workshop;
    prepare_model(*model, workshop.machine, optimized);
    const auto layers = layers_of(*model, 2, 16);
    std::vector<std::string> names;
    std::unordered_set<const ir::Node*> seen;
    for (const ModelLayer& layer : layers) {
      names.push_back(layer.name);
      for (const ir::Node* node : layer.nodes) EXPECT_TRUE(seen.insert(node).second);
    }
    EXPECT_EQ(names, (std::vector<std::string>{"bert/embeddings", "bert/encoder/layer/0",
                                               "bert/encoder/layer/1", "qa_outputs"}));
    EXPECT_EQ(layers[1].weight_bytes, layers[2].weight_bytes);
    EXPECT_EQ(layers[1].flops, layers[2].flops);
    EXPECT_GT(layers[1].flops, 0.9 * 2 * 32 * static_cast<double>(layers[1].weight_bytes / 4));
  }
}

class PlanModel : public testing::Test {
 protected:
  PlanModel() : model_(folder_, 256, 6, 1000, Dtype::f16) {}
  ~PlanModel() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) /
      (std::string("plan_model_") + testing::UnitTest::GetInstance()->current_test_info()->name());
  BertCheckpoint model_;
};

TEST_F(PlanModel, SpreadsOverDevicesThatNeedNotExist) {
  PlanOptions options;
  options.devices = {"cuda:0", "cuda:1", "cpu"};
  options.dtype = Dtype::f16;
  options.sequence = 32;
  options.memory = {{"cuda:0", 6 << 20}, {"cuda:1", 4 << 20}, {"cpu", 1 << 30}};
  options.bandwidth = {{"cuda:0", 1e12}, {"cuda:1", 1e12}, {"cpu", 1e10}};
  options.peak = {{"cuda:0", 1e14}, {"cuda:1", 1e14}, {"cpu", 1e11}};
  const ModelPlan plan = plan_model(folder_, options);
  EXPECT_EQ(plan.shape, "batch=1, sequence=32");
  EXPECT_NEAR(static_cast<double>(plan.weight_bytes), static_cast<double>(model_.bytes()),
              0.01 * static_cast<double>(model_.bytes()));
  std::vector<std::string> devices;
  for (const PlannedLayer& layer : plan.layers) devices.push_back(layer.device);
  // Four parts of 0.8 MB of embeddings, six layers of 1.6 MB.
  EXPECT_EQ(devices, (std::vector<std::string>{"cuda:0", "cuda:0", "cuda:0", "cuda:0", "cuda:0",
                                               "cuda:0", "cuda:1", "cuda:1", "cpu", "cpu"}));
  for (const PlannedDevice& device : plan.devices) {
    EXPECT_TRUE(device.fits) << device.name;
    EXPECT_FALSE(device.measured);
    EXPECT_GT(device.seconds, 0);
    EXPECT_LE(device.weight_bytes + device.activation_bytes, device.usable);
  }
  EXPECT_EQ(plan.warning, "");
  EXPECT_EQ(plan.parts, 1);
  EXPECT_DOUBLE_EQ(plan.seconds,
                   plan.devices[0].seconds + plan.devices[1].seconds + plan.devices[2].seconds);
  EXPECT_DOUBLE_EQ(plan.seconds_between, plan.devices[2].seconds);
  EXPECT_EQ(plan.devices[0].received_bytes, 0);
  for (const std::size_t i : {1U, 2U}) {
    constexpr double kHidden = 32 * 256 * 2;
    EXPECT_GE(plan.devices[i].received_bytes, kHidden);
    EXPECT_LE(plan.devices[i].received_bytes, 2 * kHidden);
    double layers = 0;
    for (const PlannedLayer& layer : plan.layers)
      layers += layer.device == plan.devices[i].name ? layer.seconds : 0;
    EXPECT_NEAR(plan.devices[i].seconds,
                layers + plan.devices[i].received_bytes / plan.devices[i].link, 1e-12);
  }
}

// Of many rows, each part is on one device while others are on the next.
TEST_F(PlanModel, PredictsPartsThatOverlap) {
  PlanOptions options;
  options.devices = {"cuda:0", "cuda:1", "cpu"};
  options.dtype = Dtype::f16;
  options.sequence = 32;
  options.batch = 128;
  options.memory = {{"cuda:0", 10 << 20}, {"cuda:1", 10 << 20}, {"cpu", 1 << 30}};
  for (const char* name : {"cuda:0", "cuda:1", "cpu"})
    options.bandwidth[name] = options.peak[name] = 1e12;
  const ModelPlan plan = plan_model(folder_, options);
  EXPECT_EQ(plan.layers.back().device, "cuda:1");
  EXPECT_EQ(plan.parts, 8);
  const double first = plan.devices[0].seconds, second = plan.devices[1].seconds;
  EXPECT_LT(plan.seconds, 0.8 * (first + second));
  EXPECT_GT(plan.seconds, std::max(first, second));
  EXPECT_LT(plan.seconds_between, plan.seconds);
  EXPECT_LT(first, 1.5 * second);
  EXPECT_LT(second, 1.5 * first);
}

TEST_F(PlanModel, SaysWhatDoesNotFit) {
  PlanOptions options;
  options.devices = {"cuda:0"};
  options.memory = {{"cuda:0", 1 << 20}};
  const ModelPlan plan = plan_model(folder_, options);
  EXPECT_FALSE(plan.devices[0].fits);
  EXPECT_NE(plan.warning.find("do not fit"), std::string::npos);
  EXPECT_EQ(plan.layers.front().device, "cuda:0");
  options.memory = {{"cuda:0", std::size_t{1} << 30}};
  EXPECT_EQ(plan_model(folder_, options).warning, "");
}

TEST_F(PlanModel, MeasuresTheCpu) {
  const ModelPlan plan = plan_model(folder_, {.sequence = 16});
  ASSERT_EQ(plan.devices.size(), 1U);
  EXPECT_TRUE(plan.devices[0].measured);
  EXPECT_GT(plan.devices[0].bandwidth, 1e8);
  EXPECT_GT(plan.devices[0].peak, 1e8);
  EXPECT_TRUE(plan.devices[0].fits);
}

TEST_F(PlanModel, RefusesWhatItCannotPlan) {
  EXPECT_THROW(plan_model(folder_, {.devices = {"cuda:77"}}), Error);
  EXPECT_THROW(plan_model(folder_, {.devices = {"tpu"}}), Error);
  EXPECT_THROW(plan_model(folder_, {.devices = {}}), Error);
  EXPECT_THROW(plan_model(folder_, {.dtype = Dtype::i8}), Error);
  EXPECT_THROW(plan_model(folder_, {.batch = 0}), Error);
  EXPECT_THROW(plan_model(folder_ / "nothing", {}), Error);
}

TEST(Placement, IsAutoOrNothing) {
  EXPECT_THROW(Session::load(checkpoint("bert_qa"), {.placement = "best"}), Error);
  EXPECT_NO_THROW(Session::load(checkpoint("bert_qa"), {.placement = "auto"}));
}

TEST(Placement, TakesDifferentGpusAndTheCpuLast) {
  for (const char* devices : {"cpu,cpu", "cpu,cuda:0", "cuda:77,cpu", "cpu,", "tpu,cpu"}) {
    EXPECT_THROW(Session::load(checkpoint("bert_qa"), {.devices = devices, .placement = "auto"}),
                 Error)
        << devices;
  }
}

}  // namespace
}  // namespace tercel
