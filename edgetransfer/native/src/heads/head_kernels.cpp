// Compiled several times: SPARSE_KERNELS names the function that hands out this build's kernels,
// SPARSE_VECTOR_BYTES is the width of the machine's vectors, SPARSE_REGISTERS how many it has.
#include <algorithm>
#include <cstdint>

#include "step.h"

namespace head {
namespace {

typedef float Vector __attribute__((vector_size(SPARSE_VECTOR_BYTES), aligned(4), may_alias));
constexpr int kWidth = SPARSE_VECTOR_BYTES / sizeof(float);
// Sums of so many rows by so many vectors stay in registers beside a factor a row and a vector.
constexpr int kTall = SPARSE_REGISTERS >= 32 ? 6 : 3;
constexpr int kWide = 4;
constexpr int kPacked = 48;  // features of all samples that are laid out side by side at a time

inline Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
inline void store(float* to, Vector v) { *reinterpret_cast<Vector*>(to) = v; }

// sums[i][j] += factors[i * factor_stride + n * factor_step] * matrix[n][j], over n.
template <int T, int W>
inline void multiply(Vector (&sums)[T][W], const float* factors, int64_t factor_stride,
                     int64_t factor_step, const float* matrix, int64_t stride, int64_t count) {
  for (int64_t n = 0; n < count; ++n) {
    Vector x[T];
#pragma GCC unroll 8
    for (int i = 0; i < T; ++i) x[i] = factors[i * factor_stride + n * factor_step] - Vector{};
#pragma GCC unroll 8
    for (int j = 0; j < W; ++j) {
      const Vector m = load(matrix + n * stride + j * kWidth);
#pragma GCC unroll 8
      for (int i = 0; i < T; ++i) sums[i][j] += x[i] * m;
    }
  }
}

template <int T, int W>
void forward_tile(const Step& s, int64_t first, int64_t last, float* logits, int64_t sample,
                  int64_t column) {
  Vector sums[T][W] = {};
  multiply<T, W>(sums, s.features + sample * s.rows + first, s.rows, 1,
                 s.weights + first * s.columns + column, s.columns, last - first);
  for (int i = 0; i < T; ++i)
    for (int j = 0; j < W; ++j)
      store(logits + (sample + i) * s.columns + column + j * kWidth, sums[i][j]);
}

// packed holds kPacked features of each sample.
template <int T, int W>
void backward_tile(const Step& s, const float* packed, int64_t row, int64_t column) {
  Vector sums[T][W] = {};
  multiply<T, W>(sums, packed, 1, kPacked, s.logits + column, s.columns, s.batch);
  for (int i = 0; i < T; ++i)
    for (int j = 0; j < W; ++j) {
      const int64_t place = (row + i) * s.columns + column + j * kWidth;
      const Vector weight = load(s.weights + place);
      const Vector velocity =
          load(s.velocity + place) * s.momentum + sums[i][j] + weight * s.weight_decay;
      store(s.velocity + place, velocity);
      store(s.weights + place, weight - velocity * s.learning_rate);
    }
}

// Calls `tile` with a template argument for how many vectors there are: at most kWide.
template <template <int, int> class Tile, int T, int W = kWide, typename... Given>
void of_width(int vectors, Given&&... given) {
  if constexpr (W > 0) {
    if (vectors == W) return Tile<T, W>::run(given...);
    of_width<Tile, T, W - 1>(vectors, given...);
  }
}

template <int T, int W>
struct Forward {
  static void run(const Step& s, int64_t first, int64_t last, float* logits, int64_t sample,
                  int64_t column) {
    forward_tile<T, W>(s, first, last, logits, sample, column);
  }
};

template <int T, int W>
struct Backward {
  static void run(const Step& s, const float* packed, int64_t row, int64_t column) {
    backward_tile<T, W>(s, packed, row, column);
  }
};

int vectors_from(const Step& s, int64_t column) {
  return static_cast<int>(std::min<int64_t>(kWide, (s.columns - column) / kWidth));
}

void forward(const Step& s, int64_t first, int64_t last, float* logits) {
  for (int64_t column = 0; column < s.columns; column += kWide * kWidth) {
    const int vectors = vectors_from(s, column);
    int64_t n = 0;
    for (; n + kTall <= s.batch; n += kTall)
      of_width<Forward, kTall>(vectors, s, first, last, logits, n, column);
    for (; n < s.batch; ++n) of_width<Forward, 1>(vectors, s, first, last, logits, n, column);
  }
}

void backward(const Step& s, int64_t first, int64_t last) {
  float packed[kMostBatch * kPacked];
  for (int64_t row = first; row < last; row += kPacked) {
    const int64_t height = std::min<int64_t>(kPacked, last - row);
    for (int64_t n = 0; n < s.batch; ++n)
      std::copy_n(s.features + n * s.rows + row, height, packed + n * kPacked);
    for (int64_t column = 0; column < s.columns; column += kWide * kWidth) {
      const int vectors = vectors_from(s, column);
      int64_t i = 0;
      for (; i + kTall <= height; i += kTall)
        of_width<Backward, kTall>(vectors, s, packed + i, row + i, column);
      for (; i < height; ++i) of_width<Backward, 1>(vectors, s, packed + i, row + i, column);
    }
  }
}

// e^x = 2^n e^f with |f| <= ln 2 / 2, and a polynomial for e^f; to 2e-7 of it. Values are at most
// the top, and below -87 under it they come out as e^-87.
void exponentials(float* values, int64_t count, float top) {
  typedef int32_t Whole __attribute__((vector_size(SPARSE_VECTOR_BYTES)));
  constexpr float kRounds = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
  constexpr float kTerms[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
  const Vector least = -87.0f - Vector{};
  for (int64_t k = 0; k < count; k += kWidth) {
    Vector x = load(values + k) - top;
    x = x < least ? least : x;  // what is not a number stays so
    const Vector shifted = x * 1.44269504f + kRounds, n = shifted - kRounds;
    const Vector f = x - n * 0.693359375f + n * 2.12194440e-4f;
    Vector sum = kTerms[0] - Vector{};
    for (int i = 1; i < 7; ++i) sum = sum * f + kTerms[i];
    const Whole power = (__builtin_convertvector(n, Whole) + 127) << 23;
    store(values + k, sum * reinterpret_cast<const Vector&>(power));
  }
}

}  // namespace

const Kernels& SPARSE_KERNELS() {
  static const Kernels kernels = {forward, backward, exponentials};
  return kernels;
}

}  // namespace head
