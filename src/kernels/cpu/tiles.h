#pragma once
// The tile registers of AMX, as all products use them: 0 and 1 are 16 rows of C side by side, 2 and
// 3 the 16 below, 4 and 5 their rows of A, 6 and 7 the panels of B. Other instruction sets have
// none. Only for sources of tercel_isa_sources.

#include "src/kernels/cpu/simd.h"

TERCEL_ISA_BEGIN

#if defined(TERCEL_ISA_amx)

constexpr int kTileHeight = 16;  // rows of a register, of 64 bytes each

// While it lives, tiles may be used; for how many rows of C takes some 200 cycles to change.
class Tiles {
 public:
  Tiles() = default;
  ~Tiles() {
    if (rows_ != 0) _tile_release();
  }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;

  // At most 32.
  void set_rows(int rows) {
    if (rows == rows_) return;
    rows_ = rows;
    alignas(64) Configuration configuration;
    for (const int tile : {0, 1, 4})
      configuration.rows[tile] = static_cast<uint8_t>(least(rows, kTileHeight));
    for (const int tile : {2, 3, 5})
      configuration.rows[tile] = static_cast<uint8_t>(most(rows - kTileHeight, 1));
    __asm__ volatile("" ::: "memory");  // the intrinsic does not say that it reads memory
    _tile_loadconfig(&configuration);
  }

 private:
  struct Configuration {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  };
  int rows_ = 0;
};

#else

struct Tiles {
  void set_rows(int) {}
};

#endif

TERCEL_ISA_END
