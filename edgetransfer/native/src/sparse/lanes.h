// The sixteen lanes in the vectors of one instruction set, for the one file that is compiled for
// each. Nothing here may reach another: all of it is in an unnamed namespace.
#pragma once

#include <type_traits>

#include "kernels.h"

namespace sparse {
namespace {

typedef float Native __attribute__((vector_size(SPARSE_VECTOR_BYTES), may_alias));
constexpr int kWidth = SPARSE_VECTOR_BYTES / sizeof(float);
constexpr int kParts = kLanes / kWidth;
// Sums kept in registers; some are left for inputs and a weight.
constexpr int kSums = SPARSE_REGISTERS - (SPARSE_REGISTERS >= 32 ? 8 : 4);

template <auto V>
using Constant = std::integral_constant<decltype(V), V>;

inline Native splat(float value) { return value - Native{}; }

// The sixteen lanes of one channel of one pixel.
struct Lanes {
  Native part[kParts];
};

inline Lanes all(float value) {
  Lanes r;
  for (int i = 0; i < kParts; ++i) r.part[i] = splat(value);
  return r;
}
inline Lanes load(const char* from) {
  Lanes r;
  for (int i = 0; i < kParts; ++i) r.part[i] = reinterpret_cast<const Native*>(from)[i];
  return r;
}
inline void store(char* to, const Lanes& v) {
  for (int i = 0; i < kParts; ++i) reinterpret_cast<Native*>(to)[i] = v.part[i];
}
inline void multiply_add(Lanes& sum, const Native& weight, const char* from) {
  for (int i = 0; i < kParts; ++i) sum.part[i] += weight * reinterpret_cast<const Native*>(from)[i];
}
inline Native larger(Native a, Native b) { return a > b ? a : b; }   // b where it is not a number
inline Native smaller(Native a, Native b) { return a < b ? a : b; }  // likewise

// With all that does not come late.
inline Native finished(Native x, const Epilogue& e, const Native* added) {
  if (e.adds) x += *added;
  switch (e.activation) {
    case Activation::relu: return larger(Native{}, x);
    case Activation::clip: return smaller(splat(e.high), larger(splat(e.low), x));
    case Activation::leaky: return larger(x * splat(e.low), x);
    default: return x;  // none, or one that comes late
  }
}
inline Lanes finished(Lanes v, const Epilogue& e, const char* added) {
  for (int i = 0; i < kParts; ++i)
    v.part[i] = finished(v.part[i], e, reinterpret_cast<const Native*>(added) + i);
  return v;
}

}  // namespace
}  // namespace sparse
