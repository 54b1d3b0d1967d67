// A network as the planner hands it over: tensors, operators in order, weights.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "generate.h"
#include "kernels.h"
#include "layer.h"

namespace sparse {

constexpr int64_t kPlanVersion = 2;  // PLAN_VERSION in engines/sparse/plan.py

struct PlanError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class Kind : int32_t {
  convolution = 0,
  depthwise = 1,
  max_pool = 2,
  average_pool = 3,
  global_average = 4,
  add = 5,         // of two tensors, or an activation of one
  copy = 6,        // to a place inside the output: channel offset, row and column offset
  combine = 7,     // two tensors, either of which may be one channel, row or column for all
  move = 8,        // numbers of one tensor to other places of another
  resample = 9,    // pixels between pixels
  normalise = 10,  // groups of channels, of each pixel or of all of them
  softmax = 11,    // of groups of channels
  product = 12,    // of two matrices for each group of channels
  constant = 13,   // the same for every image
};
constexpr int kLastKind = 13;

struct Tensor {
  int channels, height, width;

  // Bytes from one pixel to the next; an odd number of lines, because at a multiple of 4 KiB all
  // pixels of a channel would share one set of the first cache.
  int64_t pixel_bytes() const { return (channels % 16 ? channels : channels + 1) * kVectorBytes; }
};

// More AVX2 code than this runs whole: it is so fast that fetching it from beyond the second cache
// is felt.
constexpr int64_t kStreamedAvx2 = 256 << 10;

// Fewer pixels than these are not worth fetching much AVX2 code for; where a tile may have so few,
// the weights are kept in rows too.
constexpr int kFewPixels = 8;

// The forms that a convolution can run in; all give the same bits.
enum class Form : int32_t { generated = 0, sparse_rows = 1, dense = 2, depthwise = 3 };

// A place in a tensor, or how far one is from another.
struct Place {
  int channel, row, column;
};

// Where a number of an output comes from: the sum of what its channel, row and column say.
struct Moving {
  std::vector<Place> channels, rows, columns;
};

// The two rows or columns that one of an output lies between, and how far from the first.
struct Between {
  int first, second;
  float share;
};

struct GeneratedBlock {
  size_t code, weights;  // where they start
  int first, last;       // channels
};

struct Operator {
  Kind kind;
  int in, second, out;  // second is -1 where there is none
  int kernel_h, kernel_w, stride_y, stride_x, dilation_y, dilation_x;
  int pad_top, pad_left;
  int channel_offset, row_offset, column_offset;
  bool counts_padding;
  float fill;
  Epilogue epilogue;
  Form form = Form::sparse_rows;
  int64_t weights = 0;  // that are not zero
  double density = 0;   // their share of all
  SparseRows rows;
  DenseRows dense;
  DepthwiseRows depthwise;
  std::vector<GeneratedBlock> blocks;
  int64_t code_bytes = 0;
  // Of what mixes; each kind has its own, and the others' are empty.
  int groups = 1;
  Combination combination = Combination::add;
  Moving moving;
  std::vector<Between> rows_between, columns_between;
  Normalisation normalisation;
  bool over_pixels = false;     // a normalisation of all pixels, not of each
  bool over_columns = false;    // a product that adds up pixels, not channels
  std::vector<float> constant;  // [row][column][channel]

  // Whether a copy leaves what stands beside it, which another copy has written or will write.
  bool leaves_rest() const { return kind == Kind::copy && counts_padding; }
  bool takes_two() const { return kind == Kind::combine || kind == Kind::product; }
  // Whether any row of its output may need any row of its inputs.
  bool sees_everything() const {
    return kind == Kind::global_average || kind == Kind::move || kind == Kind::resample ||
           kind == Kind::product || (kind == Kind::normalise && over_pixels);
  }
  bool has_window() const { return kind <= Kind::average_pool; }
  int blocks_of(Form f) const;
  // Whether enough of its weights are not zero for channels that are computed together to need the
  // same inputs; see code.cpp.
  bool shares_inputs() const;
  // Whether kernels of a form run all rows of a few of its channels before the next ones.
  bool runs_by_block(Form f) const {
    return f == Form::generated || (f == Form::depthwise && kernel_h > 3);
  }
  // What is read of its weights, generated code included, in one pass.
  int64_t stored_bytes() const { return form == Form::generated ? code_bytes : 8 * weights; }
};

// Memory whose pages are first written, then executed, never both.
class CodeMemory {
 public:
  CodeMemory() = default;
  CodeMemory(const CodeMemory&) = delete;
  CodeMemory& operator=(const CodeMemory&) = delete;
  ~CodeMemory();
  bool seal(const std::vector<uint8_t>& code);  // false where the system forbids it
  const char* at(size_t offset) const { return base_ + offset; }

 private:
  char* base_ = nullptr;
  size_t bytes_ = 0;
};

struct Network {
  std::vector<Tensor> tensors;
  std::vector<Operator> operators;
  int input = 0, output = 0;
  const Kernels* kernels = nullptr;
  Generator generator = Generator::none;
  CodeMemory code;
  std::vector<float> weights;  // of generated blocks, in the order in which these read them

  Network(const int64_t* words, int64_t word_count, const float* numbers, int64_t number_count);

 private:
  void generate();
};

// The kernels for this processor (common/processor.h), and what code may be generated for.
const Kernels& choose_kernels(Generator& generator);

}  // namespace sparse
