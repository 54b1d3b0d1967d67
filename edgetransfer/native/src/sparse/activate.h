// Activations that come late: in place, over what was stored just before.
#pragma once

#include "elementary.h"

namespace sparse {
namespace {

// As many as stay in the first cache between their sums and their activation.
constexpr int64_t kLateVectors = 128;

template <Activation A>
inline void activate_all(char* out, int64_t step, int64_t count, const Epilogue& e) {
  for (int64_t i = 0; i < count; ++i) {
    Lanes v = load(out + i * step);
    for (int p = 0; p < kParts; ++p) v.part[p] = activated(v.part[p], A, e.low, e.high);
    store(out + i * step, v);
  }
}

// Not inlined: its code stands once, whatever kernel it comes after.
__attribute__((noinline)) void activate(char* out, int64_t step, int64_t count, const Epilogue& e) {
  switch (e.activation) {
    case Activation::none:
    case Activation::relu:
    case Activation::clip:
    case Activation::leaky: return;
    case Activation::hard_swish: return activate_all<Activation::hard_swish>(out, step, count, e);
    case Activation::sigmoid: return activate_all<Activation::sigmoid>(out, step, count, e);
    case Activation::hard_sigmoid:
      return activate_all<Activation::hard_sigmoid>(out, step, count, e);
    case Activation::silu: return activate_all<Activation::silu>(out, step, count, e);
    case Activation::gelu: return activate_all<Activation::gelu>(out, step, count, e);
    case Activation::gelu_tanh: return activate_all<Activation::gelu_tanh>(out, step, count, e);
    case Activation::tanh: return activate_all<Activation::tanh>(out, step, count, e);
    case Activation::erf: return activate_all<Activation::erf>(out, step, count, e);
    case Activation::exp: return activate_all<Activation::exp>(out, step, count, e);
    case Activation::sqrt: return activate_all<Activation::sqrt>(out, step, count, e);
    case Activation::elu: return activate_all<Activation::elu>(out, step, count, e);
    case Activation::softplus: return activate_all<Activation::softplus>(out, step, count, e);
    case Activation::mish: return activate_all<Activation::mish>(out, step, count, e);
  }
}

}  // namespace
}  // namespace sparse
