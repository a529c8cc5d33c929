// How near the CUDA kernels come to what the card can do: a copy's bandwidth and a large product's
// rate are measured first, then each kernel against the one that limits it. The last rows are whole
// encoders of random weights as one CUDA graph, built of the kernels alone.
//
//   kernels_bench [f16|bf16]

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "bench/gpu/measure.h"

namespace tercel::kernels::cuda {
namespace {

void measure_limits(Bench& bench) {
  const std::size_t bytes = std::size_t{1} << 30;
  const Memory from(bytes), to(bytes);
  bench.fill(from);
  const Extents dims{1, {static_cast<int64_t>(bytes / 16)}}, one{1, {1}};
  const double copy = bench.time(
      [&] {
        strided_copy({16, dims, one, one, from.get(), to.get()}, bench.stream);
      },
      2);
  bench.bytes_per_second = 2.0 * static_cast<double>(bytes) / copy;
  const int64_t n = 8192;
  const Memory scratch(std::size_t{32} << 20);
  GemmArgs args{.type = bench.type,
                .m = n,
                .n = n,
                .k = n,
                .a = from.get(),
                .a_row = n,
                .b = from.at(bytes / 2),
                .b_transposed = true,
                .b_row = n,
                .c = to.get(),
                .c_row = n,
                .scratch = scratch.get(),
                .scratch_bytes = scratch.bytes()};
  bench.gemm.tune(args, bench.stream);
  const double product = bench.time([&] { bench.gemm.gemm(args, bench.stream); }, 4);
  bench.flops_per_second = 2.0 * n * n * n / product;
  std::printf("copy %.0f GB/s, product of %ld: %.0f TFLOP/s\n", bench.bytes_per_second * 1e-9, n,
              bench.flops_per_second * 1e-12);
}

void measure_gemm(Bench& bench, int64_t m, int64_t n, int64_t k, Activation activation) {
  const Memory a(m * k * 2), b(n * k * 2), c(m * n * 2), bias(n * 2),
      scratch(std::size_t{32} << 20);
  bench.fill(a);
  bench.fill(b);
  GemmArgs args{.type = bench.type,
                .m = m,
                .n = n,
                .k = k,
                .a = a.get(),
                .a_row = k,
                .b = b.get(),
                .b_transposed = true,
                .b_row = k,
                .c = c.get(),
                .c_row = n};
  args.epilogue = {bias.get(), activation};
  args.b_is_weight = true;
  args.scratch = scratch.get();
  args.scratch_bytes = scratch.bytes();
  const auto run = [&] { bench.gemm.gemm(args, bench.stream); };
  const double bytes = 2.0 * (m * k + n * k + m * n), flops = 2.0 * m * n * k;
  const std::string name = "gemm " + std::to_string(m) + "x" + std::to_string(n) + "x" +
                           std::to_string(k) + (activation == Activation::gelu ? " gelu" : "");
  bench.row(name + ", untuned", bench.time(run), bytes, flops);
  bench.gemm.tune(args, bench.stream);
  bench.row(name + ", tuned", bench.time(run), bytes, flops);
}

void measure_bytes(Bench& bench, Dtype factors, int64_t m, int64_t n, int64_t k,
                   Activation activation) {
  const Memory x(m * k * 2), w(n * k * 2), a(m * k), b(n * k), a_scales(m * 4), b_scales(n * 4);
  const Memory c(m * n * 2), bias(n * 2), scratch(std::size_t{32} << 20);
  bench.fill(x);
  bench.fill(w);
  bench.fill(bias);
  const auto quantize = [&](int64_t rows, const Memory& from, const Memory& to,
                            const Memory& scales) {
    quantize_rows(
        {factors, bench.type, rows, k, from.get(), k, to.get(), static_cast<float*>(scales.get())},
        bench.stream);
  };
  const std::string of(to_string(factors));
  quantize(n, w, b, b_scales);
  bench.row("quantize_rows " + of + " " + std::to_string(m) + "x" + std::to_string(k),
            bench.time([&] { quantize(m, x, a, a_scales); }), 3.0 * m * k, 0);
  ByteGemmArgs args;
  args.factors = factors;
  args.gemm = {.type = bench.type,
               .m = m,
               .n = n,
               .k = k,
               .a = a.get(),
               .b = b.get(),
               .c = c.get(),
               .c_row = n};
  args.gemm.epilogue = {bias.get(), activation};
  args.a_scales = static_cast<const float*>(a_scales.get());
  args.b_scales = static_cast<const float*>(b_scales.get());
  args.gemm.scratch = scratch.get();
  args.gemm.scratch_bytes = scratch.bytes();
  try {
    bench.gemm.tune(args, bench.stream);
    bench.row("gemm " + of + " " + std::to_string(m) + "x" + std::to_string(n) + "x" +
                  std::to_string(k) + (activation == Activation::gelu ? " gelu" : ""),
              bench.time([&] { bench.gemm.gemm_bytes(args, bench.stream); }), 0, 2.0 * m * n * k);
  } catch (const std::exception& error) {
    std::printf("gemm_bytes: %s\n", error.what());
  }
}

AttentionArgs packed_attention(const Bench& bench, const void* qkv, void* out, int64_t batch,
                               int64_t length, int64_t heads, int64_t size, const void* offsets) {
  const int64_t hidden = heads * size;
  AttentionArgs args{.type = bench.type,
                     .batch = batch,
                     .q_heads = heads,
                     .kv_heads = heads,
                     .q_length = length,
                     .kv_length = length,
                     .head_size = size,
                     .v_head_size = size};
  const auto* base = static_cast<const char*>(qkv);
  args.q = base;
  args.k = base + 2 * hidden;
  args.v = base + 4 * hidden;
  args.out = out;
  args.q_strides = args.k_strides = args.v_strides = {0, size, 3 * hidden};
  args.out_strides = {0, size, hidden};
  args.scale = 0.125F;
  args.offsets = static_cast<const int64_t*>(offsets);
  args.rows = batch * length;
  return args;
}

Memory* offsets_of(int64_t batch, int64_t length) {
  std::vector<int64_t> offsets;
  for (int64_t b = 0; b <= batch; ++b) offsets.push_back(b * length);
  auto* memory = new Memory(offsets.size() * 8);
  check_cuda(cudaMemcpy(memory->get(), offsets.data(), memory->bytes(), cudaMemcpyHostToDevice),
             "cudaMemcpy");
  return memory;
}

void measure_attention(Bench& bench, int64_t batch, int64_t length, int64_t heads, int64_t size) {
  const int64_t rows = batch * length, hidden = heads * size;
  const Memory qkv(rows * 3 * hidden * 2), out(rows * hidden * 2);
  bench.fill(qkv);
  const std::unique_ptr<Memory> offsets(offsets_of(batch, length));
  const auto args =
      packed_attention(bench, qkv.get(), out.get(), batch, length, heads, size, offsets->get());
  bench.row("attention " + std::to_string(batch) + "x" + std::to_string(length) + ", " +
                std::to_string(heads) + " heads of " + std::to_string(size),
            bench.time([&] { attention(args, bench.stream); }), 8.0 * rows * hidden,
            4.0 * batch * heads * size * length * length);
}

void measure_rows(Bench& bench, int64_t rows, int64_t columns) {
  const Memory x(rows * columns * 2), residual(rows * columns * 2), y(rows * columns * 2);
  const Memory scale(columns * 2);
  bench.fill(x);
  bench.fill(residual);
  const std::string size = std::to_string(rows) + "x" + std::to_string(columns);
  const double bytes = 2.0 * rows * columns;
  NormArgs args{.type = bench.type,
                .rows = rows,
                .columns = columns,
                .x = x.get(),
                .x_row = columns,
                .residual = residual.get(),
                .residual_row = columns,
                .scale = scale.get(),
                .shift = scale.get(),
                .y = y.get(),
                .y_row = columns};
  bench.row("residual + layer norm " + size, bench.time([&] { norm(args, bench.stream); }),
            3 * bytes, 0);
  bench.row("softmax " + size, bench.time([&] {
    softmax({bench.type, rows, columns, 1, x.get(), y.get()}, bench.stream);
  }),
            2 * bytes, 0);
  bench.row("gelu " + size, bench.time([&] {
    unary({UnaryOp::gelu, bench.type, rows * columns, x.get(), y.get()}, bench.stream);
  }),
            2 * bytes, 0);
  bench.row("bias + gelu " + size, bench.time([&] {
    bias_activation({bench.type,
                     rows,
                     columns,
                     x.get(),
                     columns,
                     y.get(),
                     columns,
                     {scale.get(), Activation::gelu}},
                    bench.stream);
  }),
            2 * bytes, 0);
  const Extents dims{2, {rows, columns}}, whole{2, {columns, 1}}, row{2, {0, 1}};
  bench.row("add " + size, bench.time([&] {
    binary({BinaryOp::add, bench.type, dims, whole, whole, x.get(), residual.get(), y.get()},
           bench.stream);
  }),
            3 * bytes, 0);
  bench.row("add of a row " + size, bench.time([&] {
    binary({BinaryOp::add, bench.type, dims, whole, row, x.get(), scale.get(), y.get()},
           bench.stream);
  }),
            2 * bytes, 0);
  bench.row("transpose " + size, bench.time([&] {
    strided_copy({2, {2, {columns, rows}}, {2, {1, columns}}, {2, {rows, 1}}, x.get(), y.get()},
                 bench.stream);
  }),
            2 * bytes, 0);
  bench.row("f16 to f32 " + size, bench.time([&] {
    cast({rows * columns / 2, x.get(), bench.type, y.get(), Dtype::f32}, bench.stream);
  }),
            1.5 * bytes, 0);
  bench.row("sum of rows " + size, bench.time([&] {
    reduce({ReduceOp::sum, bench.type, rows, columns, 1, x.get(), y.get()}, bench.stream);
  }),
            bytes, 0);
}

struct Encoder {
  const char* name;
  int64_t layers, hidden, heads, inner, batch, length;
};

// Layers as BERT has them: QKV, attention, out + residual + norm, FFN.
void measure_encoder(Bench& bench, const Encoder& e) {
  const int64_t rows = e.batch * e.length, h = e.hidden;
  const int64_t matrices = 4 * h * h + 2 * h * e.inner;
  const Memory weights(e.layers * matrices * 2), vectors(e.inner * 2 + h * 8);
  const Memory x(rows * h * 2), qkv(rows * 3 * h * 2), mixed(rows * h * 2),
      inner(rows * e.inner * 2);
  const Memory scratch(std::size_t{64} << 20);
  bench.fill(weights);
  bench.fill(vectors);
  bench.fill(x);
  const std::unique_ptr<Memory> offsets(offsets_of(e.batch, e.length));
  const auto product = [&](const void* a, const void* b, void* c, int64_t n, int64_t k) {
    GemmArgs args{.type = bench.type,
                  .m = rows,
                  .n = n,
                  .k = k,
                  .a = a,
                  .a_row = k,
                  .b = b,
                  .b_transposed = true,
                  .b_row = k,
                  .c = c,
                  .c_row = n};
    args.epilogue.bias = vectors.get();
    args.b_is_weight = true;
    args.scratch = scratch.get();
    args.scratch_bytes = scratch.bytes();
    return args;
  };
  const auto normed = [&](const void* a, const void* b, int64_t k) {
    GemmNormArgs args;
    args.gemm = product(a, b, nullptr, h, k);
    args.gemm.epilogue.residual = x.get();
    args.gemm.epilogue.residual_row = h;
    args.scale = args.shift = vectors.get();
    args.y = x.get();
    args.y_row = h;
    return args;
  };
  const auto attend = packed_attention(bench, qkv.get(), mixed.get(), e.batch, e.length, e.heads,
                                       h / e.heads, offsets->get());
  const auto layer = [&](int64_t l, bool tune) {
    const char* w = weights.at(l * matrices * 2);
    const GemmArgs first = product(x.get(), w, qkv.get(), 3 * h, h);
    GemmArgs wide = product(x.get(), w + 8 * h * h, inner.get(), e.inner, h);
    wide.epilogue.activation = Activation::gelu;
    const GemmNormArgs out = normed(mixed.get(), w + 6 * h * h, h);
    const GemmNormArgs narrow = normed(inner.get(), w + 8 * h * h + 2 * h * e.inner, e.inner);
    if (tune) {
      bench.gemm.tune(first, bench.stream);
      bench.gemm.tune(wide, bench.stream);
      bench.gemm.tune(out, bench.stream);
      bench.gemm.tune(narrow, bench.stream);
      return;
    }
    bench.gemm.gemm(first, bench.stream);
    attention(attend, bench.stream);
    bench.gemm.gemm_norm(out, bench.stream);
    bench.gemm.gemm(wide, bench.stream);
    bench.gemm.gemm_norm(narrow, bench.stream);
  };
  const double flops = e.layers * (2.0 * rows * matrices + 4.0 * rows * e.length * h);
  const double bytes = 2.0 * e.layers * (matrices + rows * (8.0 * h + 2.0 * e.inner));
  const auto run = [&] {
    for (int64_t l = 0; l < e.layers; ++l) layer(l, false);
  };
  bench.row(std::string(e.name) + ", untuned", bench.time(run, 1), bytes, flops);
  layer(0, true);
  bench.row(std::string(e.name) + ", tuned", bench.time(run, 1), bytes, flops);
}

void run(Bench& bench) {
  measure_limits(bench);
  for (const int64_t m : {128, 384, 1024, 32768}) {
    measure_gemm(bench, m, 2304, 768, Activation::none);
    measure_gemm(bench, m, 768, 768, Activation::none);
    measure_gemm(bench, m, 3072, 768, Activation::gelu);
    measure_gemm(bench, m, 768, 3072, Activation::none);
  }
  measure_gemm(bench, 24576, 4096, 1024, Activation::gelu);
  measure_gemm(bench, 24576, 1024, 4096, Activation::none);
  for (const Dtype factors : {Dtype::f8e4m3fn, Dtype::i8}) {
    measure_bytes(bench, factors, 32768, 2304, 768, Activation::none);
    measure_bytes(bench, factors, 32768, 3072, 768, Activation::gelu);
    measure_bytes(bench, factors, 32768, 768, 3072, Activation::none);
  }
  measure_attention(bench, 1, 128, 12, 64);
  measure_attention(bench, 1, 384, 12, 64);
  measure_attention(bench, 256, 128, 12, 64);
  measure_attention(bench, 64, 384, 16, 64);
  measure_attention(bench, 256, 128, 12, 32);
  measure_attention(bench, 16, 2048, 16, 128);
  measure_rows(bench, 128, 768);
  measure_rows(bench, 65536, 768);
  const Encoder encoders[] = {{"MiniLM-L6 1x128", 6, 384, 12, 1536, 1, 128},
                              {"BERT-base 1x128", 12, 768, 12, 3072, 1, 128},
                              {"BERT-base 1x384", 12, 768, 12, 3072, 1, 384},
                              {"BERT-large 1x384", 24, 1024, 16, 4096, 1, 384},
                              {"BERT-base 256x128", 12, 768, 12, 3072, 256, 128},
                              {"BERT-large 64x384", 24, 1024, 16, 4096, 64, 384}};
  for (const Encoder& encoder : encoders) measure_encoder(bench, encoder);
}

}  // namespace
}  // namespace tercel::kernels::cuda

int main(int argc, char** argv) {
  try {
    tercel::kernels::cuda::Bench bench;
    if (argc > 1 && std::strcmp(argv[1], "bf16") == 0) bench.type = tercel::Dtype::bf16;
    tercel::kernels::cuda::run(bench);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kernels_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
