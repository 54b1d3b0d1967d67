// Compiled several times: SPARSE_KERNELS names the function that hands out this build's kernels,
// SPARSE_VECTOR_BYTES is the width of the machine's vectors, SPARSE_REGISTERS how many it has.
#include "training.h"

namespace training {
namespace {

typedef float Vector __attribute__((vector_size(SPARSE_VECTOR_BYTES), aligned(4), may_alias));
constexpr int kWidth = SPARSE_VECTOR_BYTES / sizeof(float);
constexpr int kParts = kLanes / kWidth;
// Pixels of a strip, whose sums stay in registers beside a weight; seven divide most images' sides.
constexpr int kStrip = SPARSE_REGISTERS / kParts >= 16  ? 14
                       : SPARSE_REGISTERS / kParts >= 8 ? 7
                                                        : 3;

inline Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
inline void store(float* to, Vector v) { *reinterpret_cast<Vector*>(to) = v; }
inline Vector splat(float value) { return value - Vector{}; }
// What is not a number stays so: a training that diverged must not look as if it had not.
inline Vector held(Vector v, Vector low, Vector high) {
  v = v < low ? low : v;
  return v > high ? high : v;
}

template <int P>
void convolve_strip(const Walk& w, const float* in, float* out, int64_t first, int64_t last) {
  const int64_t step = w.in_pixel;
  const Vector low = splat(w.low), high = splat(w.high);
  for (int64_t c = first; c < last; ++c) {
    Vector sums[P][kParts];
    const Vector begin = splat(w.bias ? w.bias[c] : 0.0f);
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
      for (int j = 0; j < kParts; ++j) sums[p][j] = begin;
    for (int64_t i = w.starts[c]; i < w.starts[c + 1]; ++i) {
      const float* from = in + w.offsets[i];
      const Vector weight = splat(w.values[i]);
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
        for (int j = 0; j < kParts; ++j) sums[p][j] += weight * load(from + p * step + j * kWidth);
    }
    float* to = out + c * kLanes;
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
      for (int j = 0; j < kParts; ++j)
        store(to + p * w.out_pixel + j * kWidth, held(sums[p][j], low, high));
  }
}

inline float total(Vector v) {
  float values[kWidth], sum = 0;
  store(values, v);
  // In a tree, whatever the width: the sums of sixteen lanes are the same in every build.
  for (int half = kWidth / 2; half; half /= 2)
    for (int i = 0; i < half; ++i) values[i] += values[i + half];
  sum = values[0];
  return sum;
}

// One strip of every row of weights [first, last): the sum over pixels and lanes of in times out.
template <int P>
void correlate_strip(const Walk& w, const float* in, const float* out, int64_t group, int64_t first,
                     int64_t last) {
  const int64_t step = w.in_pixel;
  for (int64_t c = first; c < last; ++c) {
    const int64_t row = group * w.channels + c;
    int64_t i = w.starts[row];
    const int64_t end = w.starts[row + 1];
    if (i == end) continue;
    Vector gradients[P][kParts];
    const float* from = out + c * kLanes;
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
      for (int j = 0; j < kParts; ++j) gradients[p][j] = load(from + p * w.out_pixel + j * kWidth);
    for (; i < end; ++i) {
      const float* x = in + w.offsets[i];
      Vector sums[kParts] = {};
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
        for (int j = 0; j < kParts; ++j)
          sums[j] += gradients[p][j] * load(x + p * step + j * kWidth);
      for (int half = kParts / 2; half; half /= 2)
        for (int j = 0; j < half; ++j) sums[j] += sums[j + half];
      w.values[i] += total(sums[0]);
    }
  }
}

template <int P>
void convolve_rest(const Walk& w, int64_t count, const float* in, float* out, int64_t first,
                   int64_t last) {
  if constexpr (P > 0) {
    if (count == P) return convolve_strip<P>(w, in, out, first, last);
    convolve_rest<P - 1>(w, count, in, out, first, last);
  }
}

template <int P>
void correlate_rest(const Walk& w, int64_t count, const float* in, const float* out, int64_t group,
                    int64_t first, int64_t last) {
  if constexpr (P > 0) {
    if (count == P) return correlate_strip<P>(w, in, out, group, first, last);
    correlate_rest<P - 1>(w, count, in, out, group, first, last);
  }
}

// Strips of nearly the same width: the i-th begins here.
inline int64_t strip_at(int64_t pixels, int64_t strips, int64_t i) { return pixels * i / strips; }

void convolve(const Walk& w, int64_t block, int64_t row, int64_t first, int64_t last) {
  const float* in = w.in + block * w.in_block + row * w.in_row;
  float* out = w.out + block * w.out_block + row * w.out_row;
  const int64_t strips = (w.pixels + kStrip - 1) / kStrip;
  for (int64_t i = 0; i < strips; ++i) {
    const int64_t at = strip_at(w.pixels, strips, i), end = strip_at(w.pixels, strips, i + 1);
    convolve_rest<kStrip>(w, end - at, in + at * w.in_pixel, out + at * w.out_pixel, first, last);
  }
}

void correlate(const Walk& w, int64_t first, int64_t last) {
  const int64_t strips = (w.pixels + kStrip - 1) / kStrip;
  for (int64_t block = 0; block < w.blocks; ++block)
    for (int64_t row = 0; row < w.rows; ++row) {
      const float* in = w.in + block * w.in_block + row * w.in_row;
      const float* out = w.out + block * w.out_block + row * w.out_row;
      for (int64_t i = 0; i < strips; ++i) {
        const int64_t at = strip_at(w.pixels, strips, i), end = strip_at(w.pixels, strips, i + 1);
        for (int64_t group = 0; group < w.groups; ++group)
          correlate_rest<kStrip>(w, end - at, in + at * w.in_pixel, out + at * w.out_pixel, group,
                                 first, last);
      }
    }
}

// Batch-norm goes through memory in runs of so many channels of a pixel, whose sums stay in the
// first cache: in float for some pixels, then in double.
constexpr int64_t kChannels = 32;
constexpr int64_t kPixels = 32;

struct Filled {
  float lanes[kLanes];

  Filled(const Norm& n, int64_t block) {
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] = block * kLanes + l < n.images ? 1.0f : 0.0f;
  }
};

// Calls `each(channel, part, at, lane)` for each vector of a chunk of channels.
template <typename Each>
inline void vectors(int64_t count, const Each& each) {
  for (int64_t c = 0; c < count; ++c)
#pragma GCC unroll 4
    for (int j = 0; j < kParts; ++j) each(c, c * kLanes + j * kWidth, j * kWidth);
}

// Sums of two things that `terms` makes of each vector, of channels [first, last).
template <typename Terms>
void sum_channels(const Norm& n, int64_t first, int64_t last, const Terms& terms) {
  for (int64_t begin = first; begin < last; begin += kChannels) {
    const int64_t count = last - begin < kChannels ? last - begin : kChannels;
    double one[kChannels] = {}, two[kChannels] = {};
    for (int64_t block = 0; block < n.blocks; ++block) {
      const Filled filled(n, block);
      for (int64_t pixel = 0; pixel < n.pixels; pixel += kPixels) {
        const int64_t end = n.pixels - pixel < kPixels ? n.pixels : pixel + kPixels;
        float a[kChannels * kLanes] = {}, b[kChannels * kLanes] = {};
        for (int64_t p = pixel; p < end; ++p) {
          const int64_t place = ((block * n.pixels + p) * n.channels + begin) * kLanes;
          vectors(count, [&](int64_t c, int64_t at, int lane) {
            Vector x, y;
            terms(begin + c, place + at, load(filled.lanes + lane), x, y);
            store(a + at, load(a + at) + x);
            store(b + at, load(b + at) + y);
          });
        }
        for (int64_t c = 0; c < count; ++c)
          for (int64_t l = 0; l < kLanes; ++l) {
            one[c] += a[c * kLanes + l];
            two[c] += b[c * kLanes + l];
          }
      }
    }
    for (int64_t c = 0; c < count; ++c) {
      n.first[begin + c] = one[c];
      n.second[begin + c] = two[c];
    }
  }
}

void moments(const Norm& n, int64_t first, int64_t last) {
  sum_channels(n, first, last, [&](int64_t c, int64_t place, Vector filled, Vector& x, Vector& y) {
    x = (load(n.in + place) - n.origin[c]) * filled;
    y = x * x;
  });
}

// The gradient as it comes through the ReLU.
inline Vector unrectified(const Norm& n, int64_t c, int64_t place, Vector normal) {
  const Vector g = load(n.gradient + place);
  if (!n.rectified) return g;
  return normal * n.scale[c] + n.shift[c] > Vector{} ? g : Vector{};
}

inline Vector normal(const Norm& n, int64_t c, int64_t place) {
  return (load(n.in + place) - n.mean[c]) * n.inverse[c];
}

void gradient_sums(const Norm& n, int64_t first, int64_t last) {
  sum_channels(n, first, last, [&](int64_t c, int64_t place, Vector, Vector& x, Vector& y) {
    const Vector z = normal(n, c, place);
    x = unrectified(n, c, place, z);
    y = x * z;
  });
}

// The gradient before limits, of the map that they made, and its sums.
void let_through(const Norm& n, int64_t first, int64_t last) {
  const Vector low = splat(n.low), high = splat(n.high);
  sum_channels(n, first, last, [&](int64_t, int64_t place, Vector, Vector& x, Vector& y) {
    const Vector made = load(n.in + place), g = load(n.gradient + place);
    x = made > low ? g : Vector{};
    x = made < high ? x : Vector{};
    y = Vector{};
    store(n.out + place, x);
  });
}

template <typename Made>
void make_channels(const Norm& n, int64_t first, int64_t last, const Made& made) {
  for (int64_t block = 0; block < n.blocks; ++block) {
    const Filled filled(n, block);
    for (int64_t p = 0; p < n.pixels; ++p) {
      const int64_t place = ((block * n.pixels + p) * n.channels + first) * kLanes;
      vectors(last - first, [&](int64_t c, int64_t at, int lane) {
        store(n.out + place + at, made(first + c, place + at, load(filled.lanes + lane)));
      });
    }
  }
}

void normalise(const Norm& n, int64_t first, int64_t last) {
  make_channels(n, first, last, [&](int64_t c, int64_t place, Vector) {
    const Vector y = normal(n, c, place) * n.scale[c] + n.shift[c];
    return n.rectified ? (y < Vector{} ? Vector{} : y) : y;
  });
}

void gradient(const Norm& n, int64_t first, int64_t last) {
  make_channels(n, first, last, [&](int64_t c, int64_t place, Vector filled) {
    const Vector z = normal(n, c, place), g = unrectified(n, c, place, z);
    return (g - n.by_shift[c] - z * n.by_scale[c]) * (n.scale[c] * n.inverse[c]) * filled;
  });
}

}  // namespace

const Kernels& SPARSE_KERNELS() {
  static const Kernels kernels = {convolve,      correlate, moments,    normalise,
                                  gradient_sums, gradient,  let_through};
  return kernels;
}

}  // namespace training
