#pragma once
// Front ends for sound: Fourier transforms, windows, the mel scale.

#include "src/ops/op_def.h"

namespace tercel::ops {

extern const OpDef blackman_window;
extern const OpDef dft;
extern const OpDef hamming_window;
extern const OpDef hann_window;
extern const OpDef mel_weight_matrix;
extern const OpDef stft;

// The length of a DFT over an axis of `size` when the node does not say it.
constexpr int64_t default_dft_length(int64_t size, bool inverse, bool onesided) {
  return inverse && onesided ? 2 * (size - 1) : size;
}

}  // namespace tercel::ops
