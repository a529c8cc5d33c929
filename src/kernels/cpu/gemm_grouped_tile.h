#pragma once
// Integer weights with a scale and perhaps a zero point for each group of k of a column: how they
// lie in memory, and tiles that turn them into f32 in registers. Only for sources of
// tercel_isa_sources.

#include "src/kernels/cpu/gemm_task.h"

TERCEL_ISA_BEGIN

// Behind a first line that holds a GroupedFacts lies panel after panel, and in each of them group
// after group: kPanel scales in f32, as many zero points if there are any, then the weights, in
// units of 8 steps of k. A unit of 4 bits is a word of 32 a column, the first step in its lowest
// bits; one of 8 bits is a row of bytes a step. So a panel is read from its first byte to its last.
//
// Four bits are turned into f32 where they stand when the word is shifted so that they are its
// highest: as 2^28 times their value. The scale is packed as 2^-28 times its own, the zero point as
// 2^28 times, which is exact, and so is the difference.
struct GroupedFacts {
  int64_t group = 0;
  int64_t has_zero = 0;
};

template <int BITS>
constexpr float kGroupedFactor = BITS == 4 ? 268435456.0F : 1.0F;
template <int BITS>
constexpr int64_t kUnitBytes = int64_t{kPanel} * kGroupUnit* BITS / 8;
constexpr int64_t kHeadBytes = kPanel * sizeof(float);  // of scales, or of zero points

template <int BITS>
struct GroupedB {
  int64_t group, head_bytes, group_bytes, panel_bytes;
  const char* panels;  // null: its sizes alone are wanted

  GroupedB(int64_t k, const GroupedFacts& facts, const void* packed)
      : group(facts.group),
        head_bytes(facts.has_zero != 0 ? 2 * kHeadBytes : kHeadBytes),
        group_bytes(head_bytes + group / kGroupUnit * kUnitBytes<BITS>),
        panel_bytes(ceil_div(k, group) * head_bytes + ceil_div(k, kGroupUnit) * kUnitBytes<BITS>),
        panels(packed == nullptr ? nullptr : static_cast<const char*>(packed) + kLine) {}
};

// The weights of one unit, kLanes columns.
template <int BITS>
struct Unit;

template <>
struct Unit<4> {
  Int words;
  Unit(const char* unit, int vector) {
    copy_bytes(&words, unit + vector * static_cast<int>(sizeof(words)), sizeof(words));
  }
  Vec step(int k) const {
    return __builtin_convertvector((words << (28 - 4 * k)) & splat_int(-268435456), Vec);
  }
};

template <>
struct Unit<8> {
  const char* bytes;
  Unit(const char* unit, int vector) : bytes(unit + vector * kLanes) {}
  Vec step(int k) const {
    const char* from = bytes + k * kPanel;
#if defined(TERCEL_ISA_avx2)
    const __m128i row = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(row));
#elif !defined(TERCEL_ISA_generic)
    const __m128i row = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(row));
#else
    typedef int8_t Bytes __attribute__((vector_size(kLanes)));
    Bytes row;
    copy_bytes(&row, from, sizeof(row));
    return __builtin_convertvector(row, Vec);
#endif
  }
};

// use(k, weights) for each step of k, which begins with a whole unit, of PANELS panels from `panel`
// on. A weight is (q - zero) · scale, rounded once, whoever asks for it.
template <int BITS, bool ZERO, int PANELS, class Use>
inline __attribute__((always_inline)) void for_weights(const GroupedB<BITS>& b, const char* panel,
                                                       Range k, const Use& use) {
  constexpr int kVectors = 2 * PANELS;
  constexpr int64_t kLinesAhead = 16;
  for (int64_t at = k.begin; at < k.end;) {
    const int64_t group = at / b.group;
    const int64_t end = least(k.end, (group + 1) * b.group);
    const char* head = panel + group * b.group_bytes;
    Vec scale[kVectors], zero[kVectors];
    const auto load_head = [&](int j, int64_t offset) {
      const char* from = head + j / 2 * b.panel_bytes + offset;
      return load(reinterpret_cast<const float*>(from) + j % 2 * kLanes);
    };
    for (int j = 0; j < kVectors; ++j) {
      scale[j] = load_head(j, 0);
      if (ZERO) zero[j] = load_head(j, kHeadBytes);
    }
    const auto weight = [&](const Unit<BITS>& unit, int step, int j) {
      const Vec q = unit.step(step);
      return (ZERO ? q - zero[j] : q) * scale[j];
    };
    const char* unit = head + b.head_bytes + (at - group * b.group) / kGroupUnit * kUnitBytes<BITS>;
    for (; at < end; at += kGroupUnit, unit += kUnitBytes<BITS>) {
#pragma GCC unroll 4
      for (int p = 0; p < PANELS; ++p) {
        const char* ahead = unit + p * b.panel_bytes + kLinesAhead * kLine;
        for (int64_t line = 0; line < kUnitBytes<BITS>; line += kLine) fetch_to_l1(ahead + line);
      }
      const auto step_of = [&](int step) __attribute__((always_inline)) {
        Vec weights[kVectors];
#pragma GCC unroll 16
        for (int j = 0; j < kVectors; ++j)
          weights[j] = weight(Unit<BITS>(unit + j / 2 * b.panel_bytes, j % 2), step, j);
        use(at + step, weights);
      };
      if (end - at >= kGroupUnit) {
#pragma GCC unroll 8
        for (int step = 0; step < kGroupUnit; ++step) step_of(step);
      } else {
        for (int step = 0; step < end - at; ++step) step_of(step);
      }
    }
  }
}

// C[ROWS, PANELS * kPanel] over all of K: the weights are read once and from memory.
template <int ROWS, int PANELS, int BITS, bool ZERO>
void grouped_tile(const float* a, int64_t a_row, const GroupedB<BITS>& b, const char* panel,
                  int64_t k, float* c, int64_t c_row) {
  Vec sum[ROWS][2 * PANELS] = {};
  for_weights<BITS, ZERO, PANELS>(
      b, panel,
      {0, k}, [&](int64_t at, const Vec(&weights)[2 * PANELS]) __attribute__((always_inline)) {
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
          const Vec value = splat(a[r * a_row + at]);
#pragma GCC unroll 16
          for (int j = 0; j < 2 * PANELS; ++j) sum[r][j] = fma(value, weights[j], sum[r][j]);
        }
      });
  for (int r = 0; r < ROWS; ++r) {
    for (int j = 0; j < 2 * PANELS; ++j) store(c + r * c_row + j * kLanes, sum[r][j]);
  }
}

// The part [k) of a panel in f32, for the tiles that read it many times.
template <int BITS, bool ZERO>
void widen_panel(const GroupedB<BITS>& b, const char* panel, Range k, float* out) {
  for_weights<BITS, ZERO, 1>(
      b, panel, k, [&](int64_t, const Vec(&weights)[2]) __attribute__((always_inline)) {
        store(out, weights[0]);
        store(out + kLanes, weights[1]);
        out += kPanel;
      });
}

// Up to so many rows weights are turned into f32 in registers.
constexpr int kGroupedRows = 4;

template <int BITS>
struct GroupedTiles {
  using Tile = void (*)(const float*, int64_t, const GroupedB<BITS>&, const char*, int64_t, float*,
                        int64_t);
  Tile one[kGroupedRows];  // by rows - 1, one panel
  Tile pair;               // one row, two panels, for enough independent chains
  void (*widen)(const GroupedB<BITS>&, const char*, Range, float*);
};

template <int BITS, bool ZERO>
constexpr GroupedTiles<BITS> kGroupedTiles = {
    {&grouped_tile<1, 1, BITS, ZERO>, &grouped_tile<2, 1, BITS, ZERO>,
     &grouped_tile<3, 1, BITS, ZERO>, &grouped_tile<4, 1, BITS, ZERO>},
    &grouped_tile<1, 2, BITS, ZERO>,
    &widen_panel<BITS, ZERO>};

TERCEL_ISA_END
