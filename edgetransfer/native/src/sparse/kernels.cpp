// Compiled several times: SPARSE_KERNELS names the function that hands out this build's kernels,
// SPARSE_VECTOR_BYTES is the width of the machine's vectors, SPARSE_REGISTERS how many it has.
#include <algorithm>
#include <limits>

#include "activate.h"
#include "lanes.h"
#include "mixing.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define SPARSE_TEXT_(x) #x
#define SPARSE_TEXT(x) SPARSE_TEXT_(x)

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

void max_pool(const PoolWindow& w, const Epilogue& e, char* out) {
  for (int c = 0; c < w.channels; ++c) {
    Lanes best = all(-std::numeric_limits<float>::infinity());
    for (int y = 0; y < w.row_count; ++y)
      for (int x = 0; x < w.column_count; ++x) {
        const Lanes v = load(w.rows[y] + x * w.column_bytes + c * kVectorBytes);
        for (int i = 0; i < kParts; ++i) best.part[i] = larger(best.part[i], v.part[i]);
      }
    store(out + c * kVectorBytes, finished(best, e, out));
  }
  if (is_late(e.activation)) activate(out, kVectorBytes, w.channels, e);
}

void average_pool(const PoolWindow& w, float scale, const Epilogue& e, char* out) {
  for (int c = 0; c < w.channels; ++c) {
    Lanes sum = all(0);
    for (int y = 0; y < w.row_count; ++y)
      for (int x = 0; x < w.column_count; ++x) {
        const Lanes v = load(w.rows[y] + x * w.column_bytes + c * kVectorBytes);
        for (int i = 0; i < kParts; ++i) sum.part[i] += v.part[i];
      }
    for (int i = 0; i < kParts; ++i) sum.part[i] *= splat(scale);
    store(out + c * kVectorBytes, finished(sum, e, out));
  }
  if (is_late(e.activation)) activate(out, kVectorBytes, w.channels, e);
}

void add(const char* a, const char* b, int64_t vectors, const Epilogue& e, char* out) {
  Epilogue with = e;
  with.adds = b != nullptr;
  for (int64_t first = 0; first < vectors; first += kLateVectors) {
    const int64_t last = std::min(vectors, first + kLateVectors);
    for (int64_t i = first; i < last; ++i)
      store(out + i * kVectorBytes,
            finished(load(a + i * kVectorBytes), with, b + i * kVectorBytes));
    if (is_late(e.activation)) activate(out + first * kVectorBytes, kVectorBytes, last - first, e);
  }
}

void gather(const float* const* lanes, float fill, int64_t count, int64_t in_step, int64_t out_step,
            char* out) {
  const float* from[kLanes];
  int64_t step[kLanes];
  for (int l = 0; l < kLanes; ++l) {
    from[l] = lanes[l] ? lanes[l] : &fill;
    step[l] = lanes[l] ? in_step : 0;
  }
  for (int64_t i = 0; i < count; ++i) {
    float* to = reinterpret_cast<float*>(out + i * out_step);
    for (int l = 0; l < kLanes; ++l) to[l] = from[l][i * step[l]];
  }
}

void permute(const char* from, const int32_t* order, float fill, int64_t count, char* out) {
#if defined(__AVX512F__)
  const __m512i places = _mm512_loadu_si512(order);
  const __mmask16 taken = _mm512_cmpge_epi32_mask(places, _mm512_setzero_si512());
  const __m512 filled = _mm512_set1_ps(fill);
  for (int64_t i = 0; i < count; ++i)
    _mm512_store_ps(
        out + i * kVectorBytes,
        _mm512_mask_permutexvar_ps(filled, taken, places, _mm512_load_ps(from + i * kVectorBytes)));
#elif defined(__AVX2__)
  // Each half of the lanes from both halves of the source, then one of the two or the fill.
  constexpr int kHalf = kLanes / 2;
  __m256i places[2];
  __m256 upper[2], empty[2];
  for (int h = 0; h < 2; ++h) {
    places[h] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(order + h * kHalf));
    upper[h] = _mm256_castsi256_ps(_mm256_cmpgt_epi32(places[h], _mm256_set1_epi32(kHalf - 1)));
    empty[h] = _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_setzero_si256(), places[h]));
  }
  const __m256 filled = _mm256_set1_ps(fill);
  for (int64_t i = 0; i < count; ++i) {
    const float* source = reinterpret_cast<const float*>(from + i * kVectorBytes);
    float* to = reinterpret_cast<float*>(out + i * kVectorBytes);
    const __m256 first = _mm256_load_ps(source), second = _mm256_load_ps(source + kHalf);
    for (int h = 0; h < 2; ++h) {
      const __m256 taken = _mm256_blendv_ps(_mm256_permutevar8x32_ps(first, places[h]),
                                            _mm256_permutevar8x32_ps(second, places[h]), upper[h]);
      _mm256_store_ps(to + h * kHalf, _mm256_blendv_ps(taken, filled, empty[h]));
    }
  }
#else
  const float* lanes[kLanes];
  for (int l = 0; l < kLanes; ++l)
    lanes[l] = order[l] < 0 ? nullptr : reinterpret_cast<const float*>(from) + order[l];
  gather(lanes, fill, count, kLanes, kVectorBytes, out);
#endif
}

float spin(int64_t rounds) {
  constexpr int kCount = kPeakAdds / kWidth < kSums ? kPeakAdds / kWidth : 12;
  Native sums[kCount];
  for (int i = 0; i < kCount; ++i) sums[i] = splat(static_cast<float>(i));
  const Native factor = splat(rounds > 0 ? 0.5f : 0.25f);
  for (int64_t r = 0; r < rounds * (kPeakAdds / kWidth / kCount); ++r) {
#pragma GCC unroll 16
    for (int i = 0; i < kCount; ++i) sums[i] = sums[i] * factor + factor;
  }
  Native total{};
  for (int i = 0; i < kCount; ++i) total += sums[i];
  return total[0];
}

}  // namespace

const Kernels& SPARSE_KERNELS() {
  static const Kernels kernels = {SPARSE_TEXT(SPARSE_NAME),
                                  sparse_strip,
                                  dense_strip,
                                  depthwise_strip,
                                  max_pool,
                                  average_pool,
                                  add,
                                  activate,
                                  combine,
                                  resample,
                                  normalise,
                                  softmax,
                                  product,
                                  gather,
                                  permute,
                                  spin};
  return kernels;
}

}  // namespace sparse
