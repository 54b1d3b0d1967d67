#include "network.h"

#include <algorithm>

#include "plan_reader.h"

namespace sparse {
namespace {

constexpr int64_t kMagic = 0x5350525345;
// More weights than zeros, and more code than the second cache holds: plain loops are as good.
constexpr double kDense = 0.6;
constexpr int64_t kDenseWeights = 100'000;
// How far below or right of an image a window may begin, in its padding.
constexpr int kFarthest = 256;

struct Epilogues {
  bool addition, activation;
};

// What the kernels of each kind do on the way out; plan.py holds the same table.
constexpr Epilogues epilogues_of(Kind kind) {
  switch (kind) {
    case Kind::convolution:
    case Kind::depthwise:
    case Kind::add: return {true, true};
    case Kind::max_pool:
    case Kind::average_pool:
    case Kind::combine: return {false, true};
    default: return {false, false};
  }
}

bool same_shape(const Tensor& a, const Tensor& b) {
  return a.channels == b.channels && a.height == b.height && a.width == b.width;
}

Tap tap_at(const Operator& op, const Tensor& in, int ky, int kx, int channel) {
  return {ky, static_cast<int32_t>(kx * op.dilation_x * in.pixel_bytes() + channel * kVectorBytes)};
}

void read_sparse(Operator& op, const Tensor& in, const Tensor& out, int groups, const float* w,
                 const float* bias) {
  const int own = in.channels / groups, area = op.kernel_h * op.kernel_w;
  SparseRows& rows = op.rows;
  rows.bias.assign(bias, bias + out.channels);
  rows.starts.push_back(0);
  for (int o = 0; o < out.channels; ++o) {
    const int first = o / (out.channels / groups) * own;
    const float* kernel = w + static_cast<int64_t>(o) * own * area;
    for (int ky = 0; ky < op.kernel_h; ++ky)
      for (int kx = 0; kx < op.kernel_w; ++kx)
        for (int c = 0; c < own; ++c) {
          const float value = kernel[c * area + ky * op.kernel_w + kx];
          if (value == 0) continue;
          rows.taps.push_back(tap_at(op, in, ky, kx, first + c));
          rows.values.push_back(value);
        }
    rows.starts.push_back(static_cast<int32_t>(rows.taps.size()));
  }
  op.weights = static_cast<int64_t>(rows.values.size());
}

void read_dense(Operator& op, const Tensor& in, const Tensor& out, const float* w,
                const float* bias) {
  DenseRows& dense = op.dense;
  const int area = op.kernel_h * op.kernel_w;
  const int blocks = (out.channels + kDenseBlock - 1) / kDenseBlock;
  dense.channels = out.channels;
  for (int ky = 0; ky < op.kernel_h; ++ky)
    for (int kx = 0; kx < op.kernel_w; ++kx)
      for (int c = 0; c < in.channels; ++c) dense.taps.push_back(tap_at(op, in, ky, kx, c));
  dense.bias.assign(blocks * kDenseBlock, 0);
  std::copy(bias, bias + out.channels, dense.bias.begin());
  dense.values.assign(static_cast<size_t>(blocks) * kDenseBlock * dense.taps.size(), 0);
  for (int o = 0; o < out.channels; ++o)
    for (int c = 0; c < in.channels; ++c)
      for (int k = 0; k < area; ++k) {
        const int64_t tap = static_cast<int64_t>(k) * in.channels + c;
        dense.values[((o / kDenseBlock) * static_cast<int64_t>(dense.taps.size()) + tap) *
                         kDenseBlock +
                     o % kDenseBlock] = w[(static_cast<int64_t>(o) * in.channels + c) * area + k];
      }
}

void read_depthwise(Operator& op, const Tensor& in, const float* w, const float* bias) {
  const int area = op.kernel_h * op.kernel_w;
  op.depthwise.channels = in.channels;
  op.depthwise.bias.assign(bias, bias + in.channels);
  op.depthwise.values.assign(w, w + static_cast<int64_t>(in.channels) * area);
  for (int k = 0; k < area; ++k)
    op.depthwise.taps.push_back(tap_at(op, in, k / op.kernel_w, k % op.kernel_w, 0));
  op.form = Form::depthwise;
  op.weights = static_cast<int64_t>(area) * in.channels;
}

void read_weights(Reader& reader, Operator& op, const Tensor& in, const Tensor& out, int groups) {
  const bool depthwise = op.kind == Kind::depthwise;
  require(in.channels % groups == 0 && out.channels % groups == 0,
          "channels do not divide into groups");
  require(!depthwise || (groups == in.channels && in.channels == out.channels),
          "a depthwise convolution keeps its channels");
  const int64_t own = in.channels / groups;
  const int64_t count = own * out.channels * op.kernel_h * op.kernel_w;
  require(count < (int64_t{1} << 30), "a layer has more than a billion weights");
  require(static_cast<int64_t>(op.kernel_w) * op.dilation_x * in.pixel_bytes() < (1 << 30),
          "a kernel is too wide");
  const float* w = reader.floats(count, "weights");
  const float* bias = reader.floats(out.channels, "a bias");
  if (depthwise) return read_depthwise(op, in, w, bias);
  read_sparse(op, in, out, groups, w, bias);
  op.density = count ? static_cast<double>(op.weights) / static_cast<double>(count) : 0;
  if (groups == 1 && op.density > kDense && op.weights > kDenseWeights) {
    read_dense(op, in, out, w, bias);
    op.form = Form::dense;
    op.rows = SparseRows{};
  }
}

Operator read_operator(Reader& reader, const std::vector<Tensor>& tensors) {
  Operator op{};
  const int last = static_cast<int>(tensors.size()) - 1;
  op.kind = static_cast<Kind>(reader.word(0, kLastKind, "the kind of an operator"));
  op.in = reader.number(0, last, "an input");
  op.second = reader.number(-1, last, "a second input");
  op.out = reader.number(0, last, "an output");
  const Tensor &in = tensors[op.in], &out = tensors[op.out];
  require(op.in != op.out && op.second != op.out, "an operator writes its own input");
  for (int* field : {&op.kernel_h, &op.kernel_w}) *field = reader.number(1, 64, "a kernel's side");
  for (int* field : {&op.stride_y, &op.stride_x}) *field = reader.number(1, 64, "a stride");
  for (int* field : {&op.dilation_y, &op.dilation_x}) *field = reader.number(1, 64, "a dilation");
  for (int* field : {&op.pad_top, &op.pad_left}) *field = reader.number(0, 4096, "a padding");
  require(op.has_window() || (op.kernel_h * op.kernel_w == 1 && op.stride_y * op.stride_x == 1 &&
                              op.dilation_y * op.dilation_x == 1 && !op.pad_top && !op.pad_left),
          "an operator has a window that needs none");
  op.channel_offset = reader.number(0, 1 << 20, "a channel offset");
  op.row_offset = reader.number(0, 4096, "a row offset");
  op.column_offset = reader.number(0, 4096, "a column offset");
  op.counts_padding = reader.word(0, 1, "a flag") != 0;
  op.epilogue.activation =
      static_cast<Activation>(reader.word(0, kLastActivation, "an activation"));
  require(op.epilogue.activation == Activation::none || epilogues_of(op.kind).activation,
          "an operator activates that cannot");
  require(op.second < 0 || epilogues_of(op.kind).addition || op.takes_two(),
          "an operator adds another tensor that cannot");
  require(op.second >= 0 || !op.takes_two(), "an operator of two tensors has one");
  const float* constants = reader.floats(3, "constants");
  op.epilogue.low = constants[0];
  op.epilogue.high = constants[1];
  op.fill = constants[2];
  const int groups = reader.number(1, 1 << 20, "groups");
  require(
      op.epilogue.activation != Activation::leaky || (op.epilogue.low >= 0 && op.epilogue.low <= 1),
      "a slope is not in 0 to 1");
  if (op.kind == Kind::convolution || op.kind == Kind::depthwise)
    read_weights(reader, op, in, out, groups);
  if (op.kind > Kind::copy) read_mixing(reader, op, tensors, groups);
  if (op.second >= 0 && !op.takes_two()) {
    require(same_shape(tensors[op.second], out), "an added tensor has another shape");
    op.epilogue.adds = true;
  }
  require(
      !op.has_window() || ((out.height - 1) * op.stride_y - op.pad_top < in.height + kFarthest &&
                           (out.width - 1) * op.stride_x - op.pad_left < in.width + kFarthest),
      "a window begins far outside of its image");
  if (op.kind == Kind::max_pool || op.kind == Kind::average_pool)
    require(in.channels == out.channels, "a pooling changes its channels");
  if (op.kind == Kind::max_pool || op.kind == Kind::average_pool)
    require(op.dilation_y == 1 && op.dilation_x == 1, "a pooling is dilated");
  if (op.kind == Kind::global_average)
    require(in.channels == out.channels && out.height == 1 && out.width == 1,
            "a global pooling's output is not one pixel");
  if (op.kind == Kind::add) require(same_shape(in, out), "an addition changes its shape");
  if (op.kind == Kind::copy)
    require(op.channel_offset + in.channels <= out.channels &&
                op.row_offset + in.height <= out.height && op.column_offset + in.width <= out.width,
            "a copy does not fit its output");
  return op;
}

// Each tensor is written before it is read, and not after; the input never.
void check_order(const Network& network) {
  std::vector<bool> written(network.tensors.size(), false), read(network.tensors.size(), false);
  written[network.input] = true;
  for (const Operator& op : network.operators) {
    require(written[op.in] && (op.second < 0 || written[op.second]),
            "an operator reads a tensor that nothing has written");
    require(op.out != network.input, "an operator writes the network's input");
    require(op.kind == Kind::copy || !written[op.out], "a tensor is written twice");
    require(!read[op.out], "a tensor is written after it was read");
    read[op.in] = true;
    if (op.second >= 0) read[op.second] = true;
    written[op.out] = true;
  }
  require(written[network.output], "nothing writes the output");
}

}  // namespace

int Operator::blocks_of(Form f) const {
  switch (f) {
    case Form::generated: return static_cast<int>(blocks.size());
    case Form::sparse_rows: return rows.channels();
    case Form::dense: return (dense.channels + kDenseBlock - 1) / kDenseBlock;
    case Form::depthwise: return (depthwise.channels + kDepthwiseBlock - 1) / kDepthwiseBlock;
  }
  return 0;
}

Network::Network(const int64_t* words, int64_t word_count, const float* numbers,
                 int64_t number_count) {
  Reader reader(words, word_count, numbers, number_count);
  reader.word(kMagic, kMagic, "the first word");
  reader.word(kPlanVersion, kPlanVersion, "the version");
  const int tensor_count = reader.number(1, 1 << 16, "the number of tensors");
  for (int i = 0; i < tensor_count; ++i) {
    Tensor t;
    t.channels = reader.number(1, 1 << 20, "a number of channels");
    t.height = reader.number(1, 1 << 14, "a height");
    t.width = reader.number(1, 1 << 14, "a width");
    require(static_cast<int64_t>(t.channels) * t.height * t.width < (1 << 26),
            "a tensor is too large");
    tensors.push_back(t);
  }
  input = reader.number(0, tensor_count - 1, "the input");
  output = reader.number(0, tensor_count - 1, "the output");
  const int operator_count = reader.number(0, 1 << 16, "the number of operators");
  for (int i = 0; i < operator_count; ++i) operators.push_back(read_operator(reader, tensors));
  reader.finish();
  check_order(*this);
  kernels = &choose_kernels(generator);
  if (generator != Generator::none) generate();
}

}  // namespace sparse
