#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "src/kernels/cuda/pool.h"
#include "src/kernels/cuda/test_support.h"

namespace tercel::kernels::cuda {
namespace {

class PoolCuda : public FloatCudaTest {};

TEST_P(PoolCuda, AreTheReferences) {
  for (const bool channels_last : {false, true})
    for (const bool max : {false, true})
      for (const bool with_pads : {false, true})
        for (const int64_t channels : {int64_t{5}, int64_t{16}}) {
          const Dtype type = GetParam();
          const Floats x(type, random(2 * channels * 9 * 11));
          PoolArgs args;
          args.type = type;
          args.max = max;
          args.with_pads = with_pads;
          args.channels_last = channels_last;
          args.batch = 2;
          args.channels = channels;
          args.axes[1] = {9, 5, 3, 2, 1, 1, 1};
          args.axes[2] = {11, 4, 3, 3, 2, 1, 3};
          const Floats y(type, 2 * channels * 5 * 4);
          args.x = x.get();
          args.y = y.get();
          pool(args, nullptr);
          std::vector<double> expected(static_cast<std::size_t>(2 * channels * 5 * 4));
          const auto place = [&](int64_t n, int64_t c, int64_t i, int64_t j, int64_t h, int64_t w) {
            return static_cast<std::size_t>(channels_last ? ((n * h + i) * w + j) * channels + c
                                                          : ((n * channels + c) * h + i) * w + j);
          };
          for (int64_t n = 0; n < 2; ++n)
            for (int64_t c = 0; c < channels; ++c)
              for (int64_t oy = 0; oy < 5; ++oy)
                for (int64_t ox = 0; ox < 4; ++ox) {
                  double sum = 0, best = -INFINITY, counted = 0;
                  for (int64_t ky = 0; ky < 3; ++ky)
                    for (int64_t kx = 0; kx < 3; ++kx) {
                      const int64_t iy = oy * 2 - 1 + ky, ix = ox * 3 - 1 + 2 * kx;
                      const bool inside = iy >= 0 && iy < 9 && ix >= 0 && ix < 11;
                      counted += inside || (with_pads && iy < 10 && ix < 14) ? 1 : 0;
                      if (!inside) continue;
                      const double value = x.values[place(n, c, iy, ix, 9, 11)];
                      sum += value;
                      best = std::max(best, value);
                    }
                  expected[place(n, c, oy, ox, 5, 4)] = max ? best : sum / counted;
                }
          expect_near(y.read(), expected, rounding(type), 9 * 6e-8);
        }
}

TERCEL_FLOAT_CUDA_SUITE(PoolCuda);

}  // namespace
}  // namespace tercel::kernels::cuda
