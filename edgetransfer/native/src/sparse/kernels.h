// The kernels that are compiled once for each instruction set, and chosen at run time.
#pragma once

#include "layer.h"

namespace sparse {

// Weights of a layer with few zeros: blocks of kDenseBlock output channels side by side, for each
// tap; the last block is filled up with zeros.
constexpr int kDenseBlock = 8;
struct DenseRows {
  std::vector<Tap> taps;      // of one group, in ascending order
  std::vector<float> values;  // [block][tap][kDenseBlock]
  std::vector<float> bias;    // [block][kDenseBlock]
  int channels = 0;
};

// One weight for each channel and tap: [channel][tap].
constexpr int kDepthwiseBlock = 16;
struct DepthwiseRows {
  std::vector<Tap> taps;
  std::vector<float> values;
  std::vector<float> bias;
  int channels = 0;
};

// A window of one pixel, cut to what lies inside the image.
struct PoolWindow {
  const char* const* rows;  // the first valid column's pixel in each valid row
  int row_count, column_count;
  int64_t column_bytes;
  int channels;
};

// How two tensors become one; the plan's numbers.
enum class Combination : int32_t { add, subtract, multiply, divide, larger, smaller };

// Four pixels around a place, and how far it is from the upper to the lower and from left to right.
struct Corners {
  const char *upper_left, *upper_right, *lower_left, *lower_right;
  float down, right;
};

// Pixels of a tensor in memory.
struct Plane {
  char* first;
  int height, width;
  int64_t row_bytes, pixel_bytes;
};

// (x - mean) / sqrt(variance + epsilon) times a weight plus a bias for each channel; the mean is
// taken for zero where it is not to be subtracted.
struct Normalisation {
  bool centred = true;
  float epsilon = 0;
  std::vector<float> weights, bias;
};

// Sums over `depth` vectors of a, side by side in a row, and of b; in bytes, from a vector to the
// next along the depth (step), from a row or column to the next (next).
struct Product {
  const char *a, *b;
  char* out;
  int64_t a_next, b_step, b_next, out_next;
  int rows, columns, depth;
};

constexpr int64_t kPeakAdds = 12 * kLanes;

struct Kernels {
  const char* name;
  // Output channels first to last (exclusive) of all pixels of a strip.
  void (*sparse_strip)(const SparseRows&, int first, int last, const Epilogue&, const Strip&);
  // Blocks first to last (exclusive).
  void (*dense_strip)(const DenseRows&, int first, int last, const Epilogue&, const Strip&);
  void (*depthwise_strip)(const DepthwiseRows&, int first, int last, const Epilogue&, const Strip&);
  void (*max_pool)(const PoolWindow&, const Epilogue&, char* out);
  void (*average_pool)(const PoolWindow&, float scale, const Epilogue&, char* out);
  // out = activation(a + b), over vectors; b may be null.
  void (*add)(const char* a, const char* b, int64_t vectors, const Epilogue&, char* out);
  // An activation that comes late, in place, over count vectors so many bytes apart.
  void (*activate)(char* out, int64_t step, int64_t count, const Epilogue&);
  // out = activation(a op b), over vectors; an operand's step is 0 where it is one vector for all.
  void (*combine)(Combination, const char* a, int64_t a_step, const char* b, int64_t b_step,
                  int64_t vectors, const Epilogue&, char* out);
  // Vectors between four pixels: `down` of the way from the upper to the lower, `right` likewise.
  void (*resample)(const Corners&, int64_t vectors, char* out);
  // One group of channels of all pixels of a plane; see Normalisation.
  void (*normalise)(const Normalisation&, int first, int last, const Plane& in, const Plane& out);
  // Of groups of so many channels of one pixel each: exponentials, divided by their sum.
  void (*softmax)(const char* in, int groups, int channels, char* out);
  // out[r][c] = sum over k of a[r][k] b[c][k]; see Product.
  void (*product)(const Product&);
  // count vectors, out_step bytes apart, whose lanes are read in_step floats apart, each from
  // where its pointer says; a lane without a pointer is filled.
  void (*gather)(const float* const* lanes, float fill, int64_t count, int64_t in_step,
                 int64_t out_step, char* out);
  // count vectors whose lanes are those of a source's vectors in another order; -1 is filled.
  void (*permute)(const char* from, const int32_t* order, float fill, int64_t count, char* out);
  // Multiply-adds and nothing else, kPeakAdds of them a round; for measuring the peak.
  float (*spin)(int64_t rounds);
};

const Kernels& kernels_avx512();
const Kernels& kernels_avx2();
const Kernels& kernels_portable();

}  // namespace sparse
