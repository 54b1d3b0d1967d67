// Compiled several times: SPARSE_KERNELS names the function that hands out this build's kernels,
// SPARSE_VECTOR_BYTES is the width of the machine's vectors, SPARSE_REGISTERS how many it has.
#include "kernels.h"

#include <algorithm>
#include <limits>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#define SPARSE_TEXT_(x) #x
#define SPARSE_TEXT(x) SPARSE_TEXT_(x)

namespace sparse {
namespace {

typedef float Native __attribute__((vector_size(SPARSE_VECTOR_BYTES), may_alias));
constexpr int kWidth = SPARSE_VECTOR_BYTES / sizeof(float);
constexpr int kParts = kLanes / kWidth;
// Sums kept in registers; some are left for inputs and a weight.
constexpr int kSums = SPARSE_REGISTERS - (SPARSE_REGISTERS >= 32 ? 8 : 4);

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
  for (int i = 0; i < kParts; ++i)
    sum.part[i] += weight * reinterpret_cast<const Native*>(from)[i];
}
inline Native larger(Native a, Native b) { return a > b ? a : b; }   // b where it is not a number
inline Native smaller(Native a, Native b) { return a < b ? a : b; }  // likewise

inline Lanes finished(Lanes v, const Epilogue& e, const char* added) {
  if (e.adds)
    for (int i = 0; i < kParts; ++i) v.part[i] += reinterpret_cast<const Native*>(added)[i];
  for (int i = 0; i < kParts; ++i) {
    Native& x = v.part[i];
    switch (e.activation) {
      case Activation::none: break;
      case Activation::relu: x = larger(Native{}, x); break;
      case Activation::clip: x = smaller(splat(e.high), larger(splat(e.low), x)); break;
      case Activation::leaky: x = larger(x * splat(e.low), x); break;
      case Activation::hard_swish: {
        const Native gate = smaller(splat(1), larger(Native{}, x * splat(1 / 6.0f) + splat(0.5f)));
        x = x * gate;
        break;
      }
    }
  }
  return v;
}

template <int P>
inline void sparse_pixels(const SparseRows& rows, int first, int last, const Epilogue& e,
                          const Strip& s, int64_t at) {
  const Tap* taps = rows.taps.data();
  const float* values = rows.values.data();
  for (int o = first; o < last; ++o) {
    Lanes sums[P];
    for (int p = 0; p < P; ++p) sums[p] = all(rows.bias[o]);
    const int end = rows.starts[o + 1];
    for (int i = rows.starts[o]; i < end; ++i) {
      const char* from = s.rows[taps[i].kernel_row] + taps[i].offset + at * s.in_step;
      const Native weight = splat(values[i]);
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p) multiply_add(sums[p], weight, from + p * s.in_step);
    }
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
      const int64_t place = (at + p) * s.out_step + o * kVectorBytes;
      store(s.out + place, finished(sums[p], e, s.added + place));
    }
  }
}

void sparse_strip(const SparseRows& rows, int first, int last, const Epilogue& e, const Strip& s) {
  constexpr int kPixels = std::clamp(kSums / kParts, 1, 8);
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
      const char* from = s.rows[rows.taps[i].kernel_row] + rows.taps[i].offset + at * s.in_step +
                         c * kVectorBytes;
      const Native weight = splat(rows.values[i * rows.channels + c]);
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) multiply_add(sums[p], weight, from + p * s.in_step);
    }
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
      const int64_t place = (at + p) * s.out_step + c * kVectorBytes;
      store(s.out + place, finished(sums[p], e, s.added + place));
    }
  }
}

void depthwise_strip(const DepthwiseRows& rows, const Epilogue& e, const Strip& s) {
  constexpr int kPixels = std::clamp(kSums / kParts, 1, 4);
  int64_t at = 0;
  for (; at + kPixels <= s.pixels; at += kPixels) depthwise_pixels<kPixels>(rows, e, s, at);
  for (; at < s.pixels; ++at) depthwise_pixels<1>(rows, e, s, at);
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
}

void add(const char* a, const char* b, int64_t vectors, const Epilogue& e, char* out) {
  Epilogue with = e;
  with.adds = b != nullptr;
  for (int64_t i = 0; i < vectors; ++i)
    store(out + i * kVectorBytes, finished(load(a + i * kVectorBytes), with, b + i * kVectorBytes));
}

void gather(const float* const* lanes, float fill, int64_t count, int64_t in_step,
            int64_t out_step, char* out) {
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
    _mm512_store_ps(out + i * kVectorBytes,
                    _mm512_mask_permutexvar_ps(filled, taken, places,
                                               _mm512_load_ps(from + i * kVectorBytes)));
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
  static const Kernels kernels = {SPARSE_TEXT(SPARSE_NAME), sparse_strip, dense_strip,
                                  depthwise_strip,          max_pool,     average_pool,
                                  add,                      gather,       permute,      spin};
  return kernels;
}

}  // namespace sparse
