// Compiled several times: SPARSE_KERNELS names the function that hands out this build's kernels,
// SPARSE_VECTOR_BYTES is the width of the machine's vectors, SPARSE_REGISTERS how many it has.
#include <algorithm>
#include <limits>

#include "activate.h"
#include "convolving.h"
#include "mixing.h"
#include "moving.h"

#define SPARSE_TEXT_(x) #x
#define SPARSE_TEXT(x) SPARSE_TEXT_(x)

namespace sparse {
namespace {

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
