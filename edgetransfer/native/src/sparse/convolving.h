// Kernels of convolutions, of which a weight is a multiply-add or nothing: strips of pixels by rows
// of non-zero weights, by dense blocks of channels, and of one channel alone (depthwise).
#pragma once

#include <algorithm>

#include "activate.h"

namespace sparse {
namespace {

// Of P pixels, which the activation is chosen for once. Called, it would find its sums in memory.
template <int P>
__attribute__((always_inline)) inline void finish(const Lanes (&sums)[P], const Epilogue& e,
                                                  const Strip& s, int64_t place) {
  const auto each = [&](auto activation) {
    const Epilogue known{decltype(activation)::value, e.low, e.high, e.adds};
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
      store(s.out + place, finished(sums[p], known, s.added + place));
      place += s.out_step;
    }
  };
  switch (e.activation) {
    case Activation::none: return each(Constant<Activation::none>{});
    case Activation::relu: return each(Constant<Activation::relu>{});
    case Activation::clip: return each(Constant<Activation::clip>{});
    case Activation::leaky: return each(Constant<Activation::leaky>{});
    default: break;
  }
  const int64_t first = place;
  each(Constant<Activation::none>{});
  activate(s.out + first, s.out_step, P, e);
}

// The inputs of the next P pixels of a strip, from the third cache into the second: a share of them
// with each output channel of these.
template <int P>
struct Ahead {
  const int windows;
  const int64_t pixels, share;

  Ahead(const SparseRows& rows, const Strip& s, int64_t at, int channels)
      : windows(at + P < s.pixels && !rows.taps.empty() ? rows.taps.back().kernel_row + 1 : 0),
        pixels((at + P) * s.in_step),
        share((P * s.in_step / channels / kVectorBytes + 1) * kVectorBytes) {}

  void fetch(const Strip& s, int channel) const {
    for (int k = 0; k < windows; ++k)
      for (int64_t i = 0; i < share; i += kVectorBytes)
        __builtin_prefetch(s.rows[k] + pixels + channel * share + i, 0, 2);
  }
};

template <int P>
inline void sparse_pixels(const SparseRows& rows, int first, int last, const Epilogue& e,
                          const Strip& s, int64_t at) {
  const Tap* taps = rows.taps.data();
  const float* values = rows.values.data();
  const Ahead<P> ahead(rows, s, at, last - first);
  for (int o = first; o < last; ++o) {
    ahead.fetch(s, o - first);
    Lanes sums[P];
    for (int p = 0; p < P; ++p) sums[p] = all(rows.bias[o]);
    const int end = rows.starts[o + 1];
    for (int i = rows.starts[o]; i < end; ++i) {
      const char* from = s.rows[taps[i].kernel_row] + taps[i].offset + at * s.in_step;
      const Native weight = splat(values[i]);
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p) multiply_add(sums[p], weight, from + p * s.in_step);
    }
    finish(sums, e, s, at * s.out_step + o * kVectorBytes);
  }
}

void sparse_strip(const SparseRows& rows, int first, int last, const Epilogue& e, const Strip& s) {
  // A weight is all that is held beside the sums: seven pixels of two registers each in sixteen,
  // and most images' sides are multiples of seven.
  constexpr int kPixels = std::clamp((SPARSE_REGISTERS - 2) / kParts, 1, 8);
  int64_t at = 0;
  for (; at + kPixels <= s.pixels; at += kPixels)
    sparse_pixels<kPixels>(rows, first, last, e, s, at);
  if constexpr (kPixels > 4)
    for (; at + 4 <= s.pixels; at += 4) sparse_pixels<4>(rows, first, last, e, s, at);
  if constexpr (kPixels > 2)
    for (; at + 2 <= s.pixels; at += 2) sparse_pixels<2>(rows, first, last, e, s, at);
  for (; at < s.pixels; ++at) sparse_pixels<1>(rows, first, last, e, s, at);
}

// Output channels whose sums for P pixels fit in registers.
template <int P>
constexpr int kShared = std::clamp(kSums / kParts / P, 1, kDenseBlock);

template <int P>
inline void dense_pixels(const DenseRows& rows, int block, const Epilogue& e, const Strip& s,
                         int64_t at) {
  constexpr int kStep = kShared<P> >= 8 ? 8 : kShared<P> >= 4 ? 4 : kShared<P> >= 2 ? 2 : 1;
  const int taps = static_cast<int>(rows.taps.size());
  const float* values = rows.values.data() + static_cast<int64_t>(block) * taps * kDenseBlock;
  for (int part = 0; part < kDenseBlock; part += kStep) {
    const int o = block * kDenseBlock + part;
    const int count = std::min(kStep, rows.channels - o);
    if (count <= 0) return;
    Lanes sums[P][kStep];
    for (int p = 0; p < P; ++p)
      for (int j = 0; j < kStep; ++j) sums[p][j] = all(rows.bias[o + j]);
    for (int i = 0; i < taps; ++i) {
      const char* from = s.rows[rows.taps[i].kernel_row] + rows.taps[i].offset + at * s.in_step;
      Lanes x[P];
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) x[p] = load(from + p * s.in_step);
#pragma GCC unroll 8
      for (int j = 0; j < kStep; ++j) {
        const Native weight = splat(values[i * kDenseBlock + part + j]);
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p)
          for (int v = 0; v < kParts; ++v) sums[p][j].part[v] += weight * x[p].part[v];
      }
    }
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 8
      for (int j = 0; j < kStep; ++j) {
        if (j >= count) break;
        const int64_t place = (at + p) * s.out_step + (o + j) * kVectorBytes;
        store(s.out + place, finished(sums[p][j], e, s.added + place));
      }
    if (is_late(e.activation))
      for (int p = 0; p < P; ++p)
        activate(s.out + (at + p) * s.out_step + o * kVectorBytes, kVectorBytes, count, e);
  }
}

void dense_strip(const DenseRows& rows, int first, int last, const Epilogue& e, const Strip& s) {
  constexpr int kPixels = kParts == 1 ? 3 : 1;
  for (int block = first; block < last; ++block) {
    int64_t at = 0;
    for (; at + kPixels <= s.pixels; at += kPixels) dense_pixels<kPixels>(rows, block, e, s, at);
    for (; at < s.pixels; ++at) dense_pixels<1>(rows, block, e, s, at);
  }
}

template <int P>
inline void depthwise_pixels(const DepthwiseRows& rows, const Epilogue& e, const Strip& s,
                             int64_t at) {
  const int taps = static_cast<int>(rows.taps.size());
  for (int c = 0; c < rows.channels; ++c) {
    Lanes sums[P];
    for (int p = 0; p < P; ++p) sums[p] = all(rows.bias[c]);
    for (int i = 0; i < taps; ++i) {
      const char* from =
          s.rows[rows.taps[i].kernel_row] + rows.taps[i].offset + at * s.in_step + c * kVectorBytes;
      const Native weight = splat(rows.values[i * rows.channels + c]);
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) multiply_add(sums[p], weight, from + p * s.in_step);
    }
    finish(sums, e, s, at * s.out_step + c * kVectorBytes);
  }
}

// Pixels lie so far apart that the processor sees no stream in the channels of so many of them.
constexpr int64_t kAhead = 4 * kVectorBytes;

// 3 x 3 taps, `step` bytes from column to column and S columns from pixel to pixel: each column of
// a row is loaded once for all pixels that see it.
template <int P, int S>
inline void depthwise_square(const DepthwiseRows& rows, const Epilogue& e, const Strip& s,
                             int64_t at, int64_t step) {
  constexpr int kSide = 3;
  for (int c = 0; c < rows.channels; ++c) {
    Lanes sums[P];
    for (int p = 0; p < P; ++p) sums[p] = all(rows.bias[c]);
#pragma GCC unroll 3
    for (int y = 0; y < kSide; ++y) {
      const char* from = s.rows[y] + at * s.in_step + c * kVectorBytes;
      const float* values = rows.values.data() + y * kSide * rows.channels + c;
      const Native weights[kSide] = {splat(values[0]), splat(values[rows.channels]),
                                     splat(values[2 * rows.channels])};
#pragma GCC unroll 16
      for (int x = 0; x < (P - 1) * S + kSide; ++x) {
        const Lanes column = load(from + x * step);
        __builtin_prefetch(from + x * step + kAhead);
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p) {
          const int k = x - p * S;
          if (k < 0 || k >= kSide) continue;
          for (int i = 0; i < kParts; ++i) sums[p].part[i] += weights[k] * column.part[i];
        }
      }
    }
    finish(sums, e, s, at * s.out_step + c * kVectorBytes);
  }
}

template <typename F>
inline void depthwise_walk(int64_t pixels, F run) {
  constexpr int kPixels = std::clamp(kSums / kParts, 1, 4);
  int64_t at = 0;
  for (; at + kPixels <= pixels; at += kPixels) run(Constant<kPixels>{}, at);
  for (; at < pixels; ++at) run(Constant<1>{}, at);
}

void depthwise_strip(const DepthwiseRows& rows, const Epilogue& e, const Strip& s) {
  const bool square = rows.taps.size() == 9 && rows.taps[3].kernel_row == 1;
  const int64_t step = square ? rows.taps[1].offset : 0;
  if (square && s.in_step == step)
    depthwise_walk(s.pixels, [&](auto p, int64_t at) {
      depthwise_square<decltype(p)::value, 1>(rows, e, s, at, step);
    });
  else if (square && s.in_step == 2 * step)
    depthwise_walk(s.pixels, [&](auto p, int64_t at) {
      depthwise_square<decltype(p)::value, 2>(rows, e, s, at, step);
    });
  else
    depthwise_walk(s.pixels, [&](auto p, int64_t at) {
      depthwise_pixels<decltype(p)::value>(rows, e, s, at);
    });
}

}  // namespace
}  // namespace sparse
