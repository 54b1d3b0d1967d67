// Training at fixed masks: convolutions whose zero weights are no work, forward and backward, and
// batch-norm, on maps laid out [block of images][row][column][channel][lane], sixteen images a
// block, as in the sparse engine. Strides and offsets are in floats.
#pragma once

#include <cstdint>

namespace training {

constexpr int64_t kLanes = 16;

// Where a convolution looks and writes: pixel (b, y, x) of the map that it makes lies at
// b * out_block + y * out_row + x * out_pixel, and what its taps are offsets from at the same sum
// over `in`. No pixel needs a question: what is looked at beyond a map is there, as zeros.
struct Walk {
  const float* in;
  float* out;  // written by `convolve`, read by `correlate`
  int64_t in_size, out_size;
  int64_t in_block, in_row, in_pixel;
  int64_t out_block, out_row, out_pixel;
  int64_t blocks, rows, pixels, channels;
  // Non-zero weights of rows: of channel c of `out`, those from starts[c] to starts[c + 1]. For
  // `correlate` there are `groups` times as many rows, one after the other.
  const int64_t* starts;
  const int32_t* offsets;
  int64_t weights, groups;
  float* values;      // read by `convolve`; sums that are added to by `correlate`
  const float* bias;  // of each channel, or null
  float low, high;    // between which `convolve` holds what it writes
};

// Batch-norm over blocks * pixels * 16 images, less the lanes that no image fills.
struct Norm {
  const float* in;        // x
  const float* gradient;  // by the output
  float* out;             // the output, or the gradient by x
  int64_t blocks, pixels, channels;
  int64_t images;               // at most 16 * blocks
  const float *mean, *inverse;  // of each channel: mean, 1 / sqrt(variance + epsilon)
  const float *scale, *shift;
  double *first, *second;  // (channels) each: sums of x - x0, (x - x0)^2; or of g, g (x - mean)
  const float* origin;     // x0 of each channel
  const float *by_shift, *by_scale;  // of the backward pass: means of g and of g times normalised x
  int64_t rectified;                 // whether a ReLU follows
  float low, high;                   // limits that a gradient comes through between
};

struct Kernels {
  // Channels [first, last) of one row of a block.
  void (*convolve)(const Walk&, int64_t block, int64_t row, int64_t first, int64_t last);
  void (*correlate)(const Walk&, int64_t first, int64_t last);  // all blocks and rows
  // Channels [first, last) of all pixels.
  void (*moments)(const Norm&, int64_t first, int64_t last);
  void (*normalise)(const Norm&, int64_t first, int64_t last);
  void (*gradient_sums)(const Norm&, int64_t first, int64_t last);
  void (*gradient)(const Norm&, int64_t first, int64_t last);
  void (*let_through)(const Norm&, int64_t first, int64_t last);
};

const Kernels& kernels_avx512();
const Kernels& kernels_avx2();
const Kernels& kernels_portable();

}  // namespace training
