// What every kernel of a convolution must know.
#pragma once

#include <cstdint>
#include <vector>

namespace sparse {

// All activations lie as [row][column][channel][lane]: sixteen images, or tiles of images, side by
// side in the lanes of a vector. Every load is aligned, whatever the shift of a kernel's tap.
constexpr int kLanes = 16;
constexpr int64_t kVectorBytes = kLanes * sizeof(float);
constexpr int kMostKernelRows = 7;

enum class Activation : int32_t {
  none = 0,
  relu = 1,
  clip = 2,        // to low and high
  leaky = 3,       // low is the slope
  hard_swish = 4,  // x clip(x / 6 + 1 / 2, 0, 1)
  sigmoid = 5,
  hard_sigmoid = 6,  // clip(low x + high, 0, 1)
  silu = 7,          // x sigmoid(low x)
  gelu = 8,          // by the error function
  gelu_tanh = 9,
  tanh = 10,
  erf = 11,
  exp = 12,
  sqrt = 13,
  elu = 14,  // low is what it comes to below
  mish = 15,
  softplus = 16,
};
constexpr int kLastActivation = 16;

// Whether it is computed in a pass of its own over what a kernel has just stored, which is in the
// first cache then: its code stands once, and generated code and strips need none of it.
constexpr bool is_late(Activation activation) { return activation > Activation::leaky; }

// A non-zero weight's place: which row of the kernel, and the bytes from the window's first
// column and channel in that row.
struct Tap {
  int32_t kernel_row;
  int32_t offset;
};

// The non-zero weights by output channel: row o is taps[starts[o]] to taps[starts[o + 1]], in
// ascending (kernel row, offset). Each kernel adds them up in that order, with a fused
// multiply-add that starts from the bias, so that every form gives the same bits.
struct SparseRows {
  std::vector<int32_t> starts;
  std::vector<Tap> taps;
  std::vector<float> values;
  std::vector<float> bias;

  int channels() const { return static_cast<int>(starts.size()) - 1; }
};

struct Epilogue {
  Activation activation = Activation::none;
  float low = 0, high = 0;  // what they are stands with each activation
  bool adds = false;        // another tensor, before the activation
};

// The arguments of one run of a kernel over pixels side by side in a row.
struct Strip {
  const char* const* rows;  // where the window's first column starts, for each kernel row
  char* out;                // the first pixel
  const char* added;        // the other tensor at the first pixel, or null
  int64_t pixels;
  int64_t in_step;   // bytes from one output pixel's window to the next
  int64_t out_step;  // bytes from one output pixel to the next
};

}  // namespace sparse
