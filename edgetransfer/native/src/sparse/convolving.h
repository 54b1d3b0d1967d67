// Kernels of convolutions, of which a weight is a multiply-add or nothing: strips of pixels by rows
// of non-zero weights, by dense blocks of channels, and of one channel alone (depthwise).
#pragma once

#include <algorithm>
#include <utility>

#include "activate.h"

namespace sparse {
namespace {

// Calls with what an activation is known to be at compile time; those that come late as none.
template <typename F>
__attribute__((always_inline)) inline void by_activation(Activation activation, F each) {
  switch (activation) {
    case Activation::relu: return each(Constant<Activation::relu>{});
    case Activation::clip: return each(Constant<Activation::clip>{});
    case Activation::leaky: return each(Constant<Activation::leaky>{});
    default: return each(Constant<Activation::none>{});
  }
}

// Of P pixels, which the activation is chosen for once. Called, it would find its sums in memory.
template <int P>
__attribute__((always_inline)) inline void finish(const Lanes (&sums)[P], const Epilogue& e,
                                                  const Strip& s, int64_t place) {
  by_activation(e.activation, [&](auto activation) __attribute__((always_inline)) {
    const Epilogue known{decltype(activation)::value, e.low, e.high, e.adds};
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p)
      store(s.out + place + p * s.out_step,
            finished(sums[p], known, s.added + place + p * s.out_step));
  });
  if (is_late(e.activation)) activate(s.out + place, s.out_step, P, e);
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
inline void depthwise_pixels(const DepthwiseRows& rows, int first, int last, const Epilogue& e,
                             const Strip& s, int64_t at) {
  const int taps = static_cast<int>(rows.taps.size());
  for (int c = first; c < last; ++c) {
    Lanes sums[P];
    for (int p = 0; p < P; ++p) sums[p] = all(rows.bias[c]);
    for (int i = 0; i < taps; ++i) {
      const char* from =
          s.rows[rows.taps[i].kernel_row] + rows.taps[i].offset + at * s.in_step + c * kVectorBytes;
      const Native weight = splat(rows.values[static_cast<int64_t>(c) * taps + i]);
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) multiply_add(sums[p], weight, from + p * s.in_step);
    }
    finish(sums, e, s, at * s.out_step + c * kVectorBytes);
  }
}

// Pixels lie so far apart that the processor sees no stream in the channels of so many of them.
constexpr int64_t kAhead = 4 * kVectorBytes;

// K x K taps, `step` bytes from column to column and S columns from pixel to pixel: each column of
// a row is loaded once for all pixels that see it. A part of the lanes at a time, so that the sums
// of many pixels and a row of weights stay in registers.
template <int K, int S, int P>
inline void depthwise_square(const DepthwiseRows& rows, int first, int last, const Epilogue& e,
                             const Strip& s, int64_t at, int64_t step) {
  for (int c = first; c < last; ++c) {
    const int64_t place = at * s.out_step + c * kVectorBytes;
#pragma GCC unroll 4
    for (int part = 0; part < kParts; ++part) {
      const int64_t shift = c * kVectorBytes + part * SPARSE_VECTOR_BYTES;
      const float* values = rows.values.data() + static_cast<int64_t>(c) * K * K;
      Native sums[P];
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) sums[p] = splat(rows.bias[c]);
      for (int y = 0; y < K; ++y, values += K) {
        const char* from = s.rows[y] + at * s.in_step + shift;
        Native weights[K];
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) weights[k] = splat(values[k]);
#pragma GCC unroll 32
        for (int x = 0; x < (P - 1) * S + K; ++x) {
          const Native column = *reinterpret_cast<const Native*>(from + x * step);
          if (part == 0) __builtin_prefetch(from + x * step + kAhead);
#pragma GCC unroll 8
          for (int p = 0; p < P; ++p) {
            const int k = x - p * S;
            if (k >= 0 && k < K) sums[p] += weights[k] * column;
          }
        }
      }
      by_activation(e.activation, [&](auto activation) __attribute__((always_inline)) {
        const Epilogue known{decltype(activation)::value, e.low, e.high, e.adds};
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p) {
          const int64_t to = place + p * s.out_step + part * SPARSE_VECTOR_BYTES;
          *reinterpret_cast<Native*>(s.out + to) =
              finished(sums[p], known, reinterpret_cast<const Native*>(s.added + to));
        }
      });
    }
    if (is_late(e.activation)) activate(s.out + place, s.out_step, P, e);
  }
}

// Pixels whose sums stay in registers beside a row of five weights.
constexpr int kDepthwisePixels = 8;

template <typename F, int... P>
inline void depthwise_rest(int64_t pixels, F run, std::integer_sequence<int, P...>) {
  ((P && pixels == P ? run(Constant<std::max(P, 1)>{}) : void()), ...);
}

// Runs so many pixels at a time, and what is left at once.
template <int P, typename F>
inline void depthwise_walk(int64_t pixels, F run) {
  int64_t at = 0;
  for (; at + P <= pixels; at += P) run(Constant<P>{}, at);
  depthwise_rest(pixels - at, [&](auto p) { run(p, at); }, std::make_integer_sequence<int, P>{});
}

// Whether the taps are a square of side K without gaps between its rows.
inline bool is_square(const DepthwiseRows& rows, int side) {
  return rows.taps.size() == static_cast<size_t>(side) * side && rows.taps[side].kernel_row == 1;
}

template <int K>
inline bool depthwise_squares(const DepthwiseRows& rows, int first, int last, const Epilogue& e,
                              const Strip& s) {
  if (!is_square(rows, K)) return false;
  const int64_t step = rows.taps[1].offset;
  const auto walk = [&](auto stride) {
    depthwise_walk<kDepthwisePixels / decltype(stride)::value>(s.pixels, [&](auto p, int64_t at) {
      depthwise_square<K, decltype(stride)::value, decltype(p)::value>(rows, first, last, e, s, at,
                                                                       step);
    });
    return true;
  };
  if (s.in_step == step) return walk(Constant<1>{});
  if (s.in_step == 2 * step) return walk(Constant<2>{});
  return false;
}

void depthwise_strip(const DepthwiseRows& rows, int block, int end, const Epilogue& e,
                     const Strip& s) {
  const int first = block * kDepthwiseBlock, last = std::min(rows.channels, end * kDepthwiseBlock);
  if (depthwise_squares<3>(rows, first, last, e, s) ||
      depthwise_squares<5>(rows, first, last, e, s))
    return;
  depthwise_walk<4>(s.pixels, [&](auto p, int64_t at) {
    depthwise_pixels<decltype(p)::value>(rows, first, last, e, s, at);
  });
}

}  // namespace
}  // namespace sparse
