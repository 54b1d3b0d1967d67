// Elementary functions of vectors, for the one file that is compiled for each instruction set. Each
// is a fixed sequence of multiply-adds, so that its bits depend on no batch, lane or thread;
// relative errors are below 4e-7 where a number is normal, and what is not a number stays so.
#pragma once

#include "lanes.h"

namespace sparse {
namespace {

typedef int32_t Integers __attribute__((vector_size(SPARSE_VECTOR_BYTES), may_alias));

// x as whole powers of two and a rest: exp(x) = scale * (1 + rest), rest from expm1's polynomial.
struct Exponential {
  Native scale, rest;
};

inline Exponential exponential_parts(Native x) {
  // exp(kLeast) is the least normal number; above kMost the scale would be infinite.
  constexpr float kLeast = -87.33f, kMost = 88.37f, kLog2E = 1.44269504f;
  constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: what is added to it is rounded to integers
  x = smaller(splat(kMost), larger(splat(kLeast), x));
  const Native shifted = x * splat(kLog2E) + splat(kMagic);
  const Native n = shifted - splat(kMagic);
  const Native r = (x - n * splat(kLn2High)) - n * splat(kLn2Low);
  Integers bits;
  __builtin_memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 127) << 23;
  Exponential e;
  __builtin_memcpy(&e.scale, &bits, sizeof bits);
  // Chebyshev fit of (expm1(r) - r) / r^2 on |r| <= ln(2) / 2.
  Native p = splat(0.0013933733571320772f);
  p = p * r + splat(0.008363235741853714f);
  p = p * r + splat(0.041666463017463684f);
  p = p * r + splat(0.16666576266288757f);
  p = p * r + splat(0.5f);
  e.rest = (r * r) * p + r;
  return e;
}

inline Native exponential(Native x) {
  const Exponential e = exponential_parts(x);
  return e.scale * e.rest + e.scale;
}
// exp(x) - 1, exact to its own size near zero.
inline Native exponential_minus_one(Native x) {
  const Exponential e = exponential_parts(x);
  return e.scale * e.rest + (e.scale - splat(1));
}

inline Native sigmoid(Native x) { return splat(1) / (splat(1) + exponential(-x)); }

inline Native hyperbolic_tangent(Native x) {
  const Native bounded = smaller(splat(10), larger(splat(-10), x));
  const Native e = exponential_minus_one(bounded + bounded);
  return e / (e + splat(2));
}

// x P(x^2) / Q(x^2), a least-squares fit of relative error; beyond 3.92 it is one.
inline Native error_function(Native x) {
  constexpr float kP[] = {2.067801233351929e-06f, 0.00028367951745167375f, 0.00369500694796443f,
                          0.05253012105822563f,   0.18870878219604492f,    1.1283791065216064f};
  constexpr float kQ[] = {3.821317295660265e-05f, 0.0011461764806881547f, 0.014826774597167969f,
                          0.11341289430856705f,   0.5005717873573303f,    1.0f};
  const Native bounded = smaller(splat(3.92f), larger(splat(-3.92f), x));
  const Native t = bounded * bounded;
  Native p = splat(kP[0]), q = splat(kQ[0]);
  for (int i = 1; i < 6; ++i) {
    p = p * t + splat(kP[i]);
    q = q * t + splat(kQ[i]);
  }
  return bounded * p / q;
}

inline Native root(Native x) {
  for (int i = 0; i < kWidth; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
}

// log(1 + exp(x)): what is above zero, and log(1 + u) of u = exp(-|x|) by a Chebyshev fit of
// log(1 + u) / u on 0 to 1.
inline Native softplus(Native x) {
  constexpr float kP[] = {0.005253457929939032f, -0.02958850748836994f, 0.07836166769266129f,
                          -0.13674770295619965f, 0.19111430644989014f,  -0.24844369292259216f,
                          0.33319270610809326f,  -0.49999502301216125f, 1.0f};
  const Native u = exponential(smaller(x, -x));
  Native p = splat(kP[0]);
  for (int i = 1; i < 9; ++i) p = p * u + splat(kP[i]);
  return larger(Native{}, x) + u * p;
}

inline Native softplus_tanh(Native x) {
  // tanh(log(1 + e)) = (e^2 + 2 e) / (e^2 + 2 e + 2); beyond 20 it is one.
  const Native e = exponential(smaller(splat(20), x));
  const Native both = e * (e + splat(2));
  return both / (both + splat(2));
}

inline Native activated(Native x, Activation activation, float low, float high) {
  switch (activation) {
    case Activation::none: return x;
    case Activation::relu: return larger(Native{}, x);
    case Activation::clip: return smaller(splat(high), larger(splat(low), x));
    case Activation::leaky: return larger(x * splat(low), x);
    case Activation::hard_swish:
      return x * smaller(splat(1), larger(Native{}, x * splat(1 / 6.0f) + splat(0.5f)));
    case Activation::hard_sigmoid:
      return smaller(splat(1), larger(Native{}, x * splat(low) + splat(high)));
    case Activation::sigmoid: return sigmoid(x);
    case Activation::silu: return x * sigmoid(x * splat(low));
    case Activation::gelu:
      return splat(0.5f) * x * (splat(1) + error_function(x * splat(0.70710678f)));
    case Activation::gelu_tanh: {
      const Native cube = x * x * x * splat(0.044715f) + x;
      return splat(0.5f) * x * (splat(1) + hyperbolic_tangent(cube * splat(0.79788456f)));
    }
    case Activation::tanh: return hyperbolic_tangent(x);
    case Activation::erf: return error_function(x);
    case Activation::exp: return exponential(x);
    case Activation::sqrt: return root(x);
    case Activation::elu: {
      const Native below = splat(low) * exponential_minus_one(smaller(Native{}, x));
      return x > Native{} ? x : below;
    }
    case Activation::mish: return x * softplus_tanh(x);
    case Activation::softplus: return softplus(x);
  }
  return x;
}

}  // namespace
}  // namespace sparse
