// Kernels that move numbers between the lanes of vectors and compute nothing.
#pragma once

#include "lanes.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace sparse {
namespace {

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

}  // namespace
}  // namespace sparse
