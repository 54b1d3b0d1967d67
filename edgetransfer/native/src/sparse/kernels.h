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

// One weight for each channel and tap: [tap][channel].
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

constexpr int64_t kPeakAdds = 12 * kLanes;

struct Kernels {
  const char* name;
  // Output channels first to last (exclusive) of all pixels of a strip.
  void (*sparse_strip)(const SparseRows&, int first, int last, const Epilogue&, const Strip&);
  // Blocks first to last (exclusive).
  void (*dense_strip)(const DenseRows&, int first, int last, const Epilogue&, const Strip&);
  void (*depthwise_strip)(const DepthwiseRows&, const Epilogue&, const Strip&);
  void (*max_pool)(const PoolWindow&, const Epilogue&, char* out);
  void (*average_pool)(const PoolWindow&, float scale, const Epilogue&, char* out);
  // out = activation(a + b), over vectors; b may be null.
  void (*add)(const char* a, const char* b, int64_t vectors, const Epilogue&, char* out);
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
