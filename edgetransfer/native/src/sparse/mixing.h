// Kernels of what mixes tensors, pixels or channels without weights: sums and products of two
// tensors, interpolation, normalisation, softmax, products of two matrices.
#pragma once

#include <algorithm>
#include <limits>

#include "activate.h"

namespace sparse {
namespace {

template <Combination C>
inline Native combined(Native a, Native b) {
  switch (C) {
    case Combination::add: return a + b;
    case Combination::subtract: return a - b;
    case Combination::multiply: return a * b;
    case Combination::divide: return a / b;
    case Combination::larger: return a > b ? a : b;
    case Combination::smaller: return a < b ? a : b;
  }
  return a;
}

template <Combination C>
inline void combine_all(const char* a, int64_t a_step, const char* b, int64_t b_step,
                        int64_t vectors, const Epilogue& e, char* out) {
  for (int64_t i = 0; i < vectors; ++i) {
    Lanes v = load(a + i * a_step);
    const Lanes w = load(b + i * b_step);
    for (int p = 0; p < kParts; ++p) v.part[p] = combined<C>(v.part[p], w.part[p]);
    store(out + i * kVectorBytes, finished(v, e, out));
  }
  if (is_late(e.activation)) activate(out, kVectorBytes, vectors, e);
}

void combine(Combination how, const char* a, int64_t a_step, const char* b, int64_t b_step,
             int64_t vectors, const Epilogue& e, char* out) {
  const auto run = [&](auto c) {
    combine_all<decltype(c)::value>(a, a_step, b, b_step, vectors, e, out);
  };
  switch (how) {
    case Combination::add: return run(Constant<Combination::add>{});
    case Combination::subtract: return run(Constant<Combination::subtract>{});
    case Combination::multiply: return run(Constant<Combination::multiply>{});
    case Combination::divide: return run(Constant<Combination::divide>{});
    case Combination::larger: return run(Constant<Combination::larger>{});
    case Combination::smaller: return run(Constant<Combination::smaller>{});
  }
}

void resample(const Corners& c, int64_t vectors, char* out) {
  const Native down = splat(c.down), right = splat(c.right);
  const Native up = splat(1 - c.down), left = splat(1 - c.right);
  for (int64_t i = 0; i < vectors * kVectorBytes; i += kVectorBytes) {
    const Lanes ul = load(c.upper_left + i), ur = load(c.upper_right + i);
    const Lanes ll = load(c.lower_left + i), lr = load(c.lower_right + i);
    Lanes v;
    for (int p = 0; p < kParts; ++p) {
      const Native upper = ul.part[p] * left + ur.part[p] * right;
      const Native lower = ll.part[p] * left + lr.part[p] * right;
      v.part[p] = upper * up + lower * down;
    }
    store(out + i, v);
  }
}

// The sum of what `term` makes of a group of channels, pixel by pixel, then row by row: parts of
// like size are added, which keeps the error small.
template <typename F>
inline Lanes total(const Plane& plane, int first, int last, F term) {
  Lanes all_rows = all(0);
  for (int y = 0; y < plane.height; ++y) {
    Lanes row = all(0);
    for (int x = 0; x < plane.width; ++x) {
      const char* pixel = plane.first + y * plane.row_bytes + x * plane.pixel_bytes;
      Lanes sum = all(0);
      for (int c = first; c < last; ++c) {
        const Lanes v = load(pixel + c * kVectorBytes);
        for (int p = 0; p < kParts; ++p) sum.part[p] += term(v.part[p], p);
      }
      for (int p = 0; p < kParts; ++p) row.part[p] += sum.part[p];
    }
    for (int p = 0; p < kParts; ++p) all_rows.part[p] += row.part[p];
  }
  return all_rows;
}

void normalise(const Normalisation& n, int first, int last, const Plane& in, const Plane& out) {
  const float count = static_cast<float>(static_cast<int64_t>(last - first) * in.height * in.width);
  Lanes mean = all(0);
  if (n.centred) {
    mean = total(in, first, last, [](Native v, int) { return v; });
    for (int p = 0; p < kParts; ++p) mean.part[p] /= splat(count);
  }
  Lanes scale = total(in, first, last, [&](Native v, int p) {
    const Native apart = v - mean.part[p];
    return apart * apart;
  });
  for (int p = 0; p < kParts; ++p)
    scale.part[p] = splat(1) / root(scale.part[p] / splat(count) + splat(n.epsilon));
  for (int y = 0; y < in.height; ++y)
    for (int x = 0; x < in.width; ++x) {
      const char* from = in.first + y * in.row_bytes + x * in.pixel_bytes;
      char* to = out.first + y * out.row_bytes + x * out.pixel_bytes;
      for (int c = first; c < last; ++c) {
        Lanes v = load(from + c * kVectorBytes);
        const Native weight = splat(n.weights[c]), bias = splat(n.bias[c]);
        for (int p = 0; p < kParts; ++p)
          v.part[p] = (v.part[p] - mean.part[p]) * scale.part[p] * weight + bias;
        store(to + c * kVectorBytes, v);
      }
    }
}

void softmax(const char* in, int groups, int channels, char* out) {
  for (int g = 0; g < groups; ++g) {
    const int64_t start = static_cast<int64_t>(g) * channels * kVectorBytes;
    Lanes most = all(-std::numeric_limits<float>::infinity()), sum = all(0);
    for (int c = 0; c < channels; ++c) {
      const Lanes v = load(in + start + c * kVectorBytes);
      for (int p = 0; p < kParts; ++p) most.part[p] = larger(most.part[p], v.part[p]);
    }
    for (int c = 0; c < channels; ++c) {
      Lanes v = load(in + start + c * kVectorBytes);
      for (int p = 0; p < kParts; ++p) {
        v.part[p] = exponential(v.part[p] - most.part[p]);
        sum.part[p] += v.part[p];
      }
      store(out + start + c * kVectorBytes, v);
    }
    for (int p = 0; p < kParts; ++p) sum.part[p] = splat(1) / sum.part[p];
    for (int c = 0; c < channels; ++c) {
      Lanes v = load(out + start + c * kVectorBytes);
      for (int p = 0; p < kParts; ++p) v.part[p] *= sum.part[p];
      store(out + start + c * kVectorBytes, v);
    }
  }
}

template <int R, int C>
inline void product_block(const Product& m, int row, int column) {
  Lanes sums[R][C];
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) sums[r][c] = all(0);
  const char* a = m.a + row * m.a_next;
  const char* b = m.b + column * m.b_next;
  for (int k = 0; k < m.depth; ++k, a += kVectorBytes, b += m.b_step) {
    Lanes left[R];
    for (int r = 0; r < R; ++r) left[r] = load(a + r * m.a_next);
    for (int c = 0; c < C; ++c) {
      const Lanes right = load(b + c * m.b_next);
      for (int r = 0; r < R; ++r)
        for (int p = 0; p < kParts; ++p) sums[r][c].part[p] += left[r].part[p] * right.part[p];
    }
  }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c)
      store(m.out + (row + r) * m.out_next + (column + c) * kVectorBytes, sums[r][c]);
}

template <int R>
inline void product_rows(const Product& m, int row) {
  constexpr int kColumns = 2;
  int column = 0;
  for (; column + kColumns <= m.columns; column += kColumns)
    product_block<R, kColumns>(m, row, column);
  for (; column < m.columns; ++column) product_block<R, 1>(m, row, column);
}

void product(const Product& m) {
  constexpr int kRows = kParts == 1 ? 8 : kParts == 2 ? 2 : 1;
  int row = 0;
  for (; row + kRows <= m.rows; row += kRows) product_rows<kRows>(m, row);
  for (; row < m.rows; ++row) product_rows<1>(m, row);
}

}  // namespace
}  // namespace sparse
