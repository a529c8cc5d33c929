#pragma once
// Elementary functions on vectors. Only for sources of tercel_isa_sources; errors in elementwise.h.
// The polynomials are minimax fits to the named functions, their coefficients rounded one after the
// other, each refitted to those before it.

#include "src/kernels/cpu/simd.h"

TERCEL_ISA_BEGIN

template <int N>
inline Vec polynomial(Vec x, const float (&low_to_high)[N]) {
  Vec value = splat(low_to_high[N - 1]);
  for (int i = N - 2; i >= 0; --i) value = fma(value, x, splat(low_to_high[i]));
  return value;
}

// 2^n for n in [-126, 127].
inline Vec power_of_two(Int n) { return (Vec)(((Uint)n + 127U) << 23); }

constexpr float kLn2High = 0x1.62e4p-1F;  // 15 bits, so that n times it is exact
constexpr float kLn2Low = 0x1.7f7d1cp-20F;

// 1.5 · 2^23: the low bits of a sum with it are the sum rounded to an integer.
constexpr float kToInteger = 12582912.0F;

// exp(x) / 2^whole, whole being the integer next to x / log(2).
inline Vec exp_of_rest(Vec x, Vec whole) {
  Vec r = fma(whole, splat(-kLn2High), x);
  r = fma(whole, splat(-kLn2Low), r);
  constexpr float c[] = {0.49999994F, 0.166665196F, 0.04166824F, 0.00836882368F, 0.00138232135F};
  return fma(polynomial(r, c) * r, r, r) + splat(1.0F);
}

inline Vec exp(Vec x) {
  // Beyond these the result is zero or infinity; NaN passes both.
  x = lesser(splat(89.0F), greater(splat(-104.0F), x));
  const Vec shifted = fma(x, splat(1.44269504F), splat(kToInteger));
  const Vec whole = shifted - splat(kToInteger);
  const Vec p = exp_of_rest(x, whole);
#if defined(TERCEL_ISA_generic) || defined(TERCEL_ISA_avx2)
  const Int n = (Int)((Uint)shifted - (Uint)splat(kToInteger));
  const Int half = n >> 1;  // in two steps, for subnormal results
  return p * power_of_two(half) * power_of_two((Int)((Uint)n - (Uint)half));
#else
  return _mm512_scalef_ps(p, whole);
#endif
}

// exp of x <= 0, but zero where that is less than 2^-126.
inline Vec exp_of_negative(Vec x) {
  x = greater(splat(-88.0F), x);
  const Vec shifted = fma(x, splat(1.44269504F), splat(kToInteger));
  // The shift drops all of kToInteger's bits; 2^-127 has the bits of zero.
  const Vec power = (Vec)(((Uint)shifted << 23) + (Uint)splat(1.0F));
  return exp_of_rest(x, shifted - splat(kToInteger)) * power;
}

inline Vec log(Vec x) {
  const Int subnormal = x < splat(0x1p-126F);
  const Vec scaled = select(subnormal, x * splat(0x1p23F), x);
  // The exponent is taken so that the mantissa lies in [sqrt(1/2), sqrt(2)).
  const Int bits = (Int)((Uint)scaled - 0x3f3504f3U);
  const Int exponent = (bits >> 23) - (subnormal & 23);
  const Vec f = as_vec((bits & 0x007fffff) + 0x3f3504f3) - splat(1.0F);
  const Vec e = __builtin_convertvector(exponent, Vec);
  constexpr float c[] = {0.333333313F, -0.250008196F, 0.200012445F, -0.166234136F,
                         0.14201501F,  -0.131594718F, 0.127627313F, -0.0763747096F};
  const Vec square = f * f;
  Vec tail = fma(polynomial(f, c) * f, square, e * splat(kLn2Low));
  tail = fma(square, splat(-0.5F), tail);
  Vec y = fma(e, splat(kLn2High), f + tail);
  y = select(x == splat(__builtin_inff()), x, y);
  y = select(x == zeros(), splat(-__builtin_inff()), y);
  y = select(x < zeros(), splat(__builtin_nanf("")), y);
  return select(x == x, y, x);
}

inline Vec erf(Vec x) {
  const Vec a = absolute(x);
  constexpr float small[] = {0.128379166F,   -0.37612626F,    0.112835832F,  -0.0268536918F,
                             0.00518807396F, -0.00080078782F, 7.8461082e-05F};
  const Vec near = fma(polynomial(x * x, small), x, x);
  // log(erfc(a)) for a in [1, 4]; at 4 erf has rounded to one.
  constexpr float large[] = {0.000188470192F, -1.12958038F,    -0.633216143F,   -0.108422518F,
                             0.0252107047F,   -0.00420546066F, 0.000441516808F, -2.17021061e-05F};
  const Vec far = splat(1.0F) - exp(polynomial(lesser(splat(4.0F), a), large));
  return select(a > splat(1.0F), with_sign_of(far, x), near);
}

inline Vec tanh(Vec x) {
  const Vec a = absolute(x);
  constexpr float c[] = {-0.333332807F, 0.133314162F, -0.0537379384F, 0.0206341185F,
                         -0.00570009183F};
  const Vec square = x * x;
  const Vec near = fma(polynomial(square, c) * square, x, x);
  const Vec far = splat(1.0F) - splat(2.0F) / (exp(a + a) + splat(1.0F));
  return select(a > splat(0.625F), with_sign_of(far, x), near);
}

inline Vec sigmoid(Vec x) {
  const Vec e = exp(as_vec(as_int(x) | splat_int(INT32_MIN)));  // of -|x|: never overflows
  return select(x < zeros(), e, splat(1.0F)) / (e + splat(1.0F));
}

inline Vec softplus(Vec x) {
  const Vec e = exp(as_vec(as_int(x) | splat_int(INT32_MIN)));
  // log(1 + e), with what the rounding of 1 + e lost put back.
  const Vec u = e + splat(1.0F);
  const Vec log1p = log(u) + (e - (u - splat(1.0F))) / u;
  return log1p + select(x > zeros(), x, select(x == x, zeros(), x));
}

inline Vec relu(Vec x) { return select(x < zeros(), zeros(), x); }
inline Vec silu(Vec x) { return x * sigmoid(x); }

// x times the normal distribution's share below x: 1/2 and an odd rational function, minimax up to
// 5.4. Where x is cut off it has passed 1/2 by 5e-7, so that no rounding keeps the share from 0
// and 1.
inline Vec gelu(Vec x) {
  constexpr float kEnd = 5.764F;
  constexpr float numerator[] = {0.398942245F,    0.0333721183F,   0.00465084522F,
                                 0.000164320686F, 6.36002255e-06F, 2.33868809e-08F};
  constexpr float denominator[] = {1.0F,           0.250317584F,    0.0283786263F,
                                   0.00185897577F, 7.23999115e-05F, 1.21659548e-06F};
  const Vec above = greater(splat(-kEnd), x);  // below, infinity times a share of zero is no number
  const Vec near = lesser(splat(kEnd), above);
  const Vec square = near * near;
  const Vec ratio = polynomial(square, numerator) / polynomial(square, denominator);
  const Vec share = fma(near, ratio, splat(0.5F));
  return above * lesser(splat(1.0F), greater(zeros(), share));
}
// Within 4e-5 (absolutely, beyond 4.4 relatively to x) of gelu, for what is rounded behind it: a
// 50th of what rounding to bf16 does to values near 1, and less of what 8 bits do. x Φ(x) with
// Φ(x) - 1/2 an odd function, minimax for x times its error; no division.
#if defined(TERCEL_ISA_avx512)
// A parabola for each 0.284 of |x|, its coefficients taken from registers.
inline Vec quick_gelu(Vec x) {
  alignas(64) static constexpr float c[3][kLanes] = {
      {-3.45834742e-05F, -0.00131922972F, -0.00868637767F, -0.0189034939F, -0.0185917225F,
       0.00735456916F, 0.0653452352F, 0.148721978F, 0.241713002F, 0.327665091F, 0.395695388F,
       0.442694247F, 0.471387327F, 0.486999959F, 0.494618416F, 0.49796775F},
      {0.400423199F, 0.414350331F, 0.448643148F, 0.478068084F, 0.478287369F, 0.438346207F,
       0.364432096F, 0.27414149F, 0.186687753F, 0.115278028F, 0.0646682456F, 0.0330175012F,
       0.0153681282F, 0.0065304758F, 0.00253660465F, 0.000901580905F},
      {-0.0180419628F, -0.0563279539F, -0.0965700969F, -0.11780937F, -0.118344851F, -0.102962017F,
       -0.0793940797F, -0.0549377911F, -0.0343687907F, -0.0195327122F, -0.0101181241F,
       -0.00478850864F, -0.00207405468F, -0.000823255512F, -0.000299771782F, -0.000100217323F}};
  const Vec a = lesser(splat(4.4F), absolute(x));
  const auto piece = (__m512i)fma(a, splat(1 / 0.284F), splat(kToInteger));
  const auto of = [&](int i) -> Vec { return _mm512_permutexvar_ps(piece, load(c[i])); };
  const Vec share = fma(fma(of(2), a, of(1)), a, of(0));
  return x * (with_sign_of(share, x) + splat(0.5F));
}
#else
inline Vec quick_gelu(Vec x) {
  constexpr float c[] = {0.39876148F,     -0.0660762563F,   0.00964293908F,
                         -0.00105497008F, 8.42898298e-05F,  -4.72459988e-06F,
                         1.74071445e-07F, -3.75369291e-09F, 3.56902945e-11F};
  const Vec near = greater(splat(-4.4F), lesser(splat(4.4F), x));
  return x * fma(polynomial(near * near, c), near, splat(0.5F));
}
#endif
inline Vec gelu_tanh(Vec x) {
  const Vec inner = x * splat(0.797884561F) * fma(x * x, splat(0.044715F), splat(1.0F));
  return splat(0.5F) * x * (splat(1.0F) + tanh(inner));
}

TERCEL_ISA_END
