// Reading of operators that mix tensors, pixels or channels without weights.
#include <algorithm>
#include <cmath>

#include "plan_reader.h"

namespace sparse {
namespace {

bool spreads(int side, int to) { return side == to || side == 1; }

bool spreads(const Tensor& t, const Tensor& to) {
  return spreads(t.channels, to.channels) && spreads(t.height, to.height) &&
         spreads(t.width, to.width);
}

// As many places as the axis has, none of them before the tensor's first.
std::vector<Place> read_places(Reader& reader, int count, const Tensor& in, Place& most) {
  std::vector<Place> places;
  most = {0, 0, 0};
  for (int i = 0; i < count; ++i) {
    Place p{};
    p.channel = reader.number(0, in.channels - 1, "a place");
    p.row = reader.number(0, in.height - 1, "a place");
    p.column = reader.number(0, in.width - 1, "a place");
    most.channel = std::max(most.channel, p.channel);
    most.row = std::max(most.row, p.row);
    most.column = std::max(most.column, p.column);
    places.push_back(p);
  }
  return places;
}

void read_moving(Reader& reader, Operator& op, const Tensor& in, const Tensor& out) {
  Place c{}, y{}, x{};
  op.moving.channels = read_places(reader, out.channels, in, c);
  op.moving.rows = read_places(reader, out.height, in, y);
  op.moving.columns = read_places(reader, out.width, in, x);
  require(c.channel + y.channel + x.channel < in.channels && c.row + y.row + x.row < in.height &&
              c.column + y.column + x.column < in.width,
          "a number comes from outside of its tensor");
}

std::vector<Between> read_between(Reader& reader, int count, int side) {
  std::vector<Between> all;
  for (int i = 0; i < count; ++i) {
    Between b{};
    b.first = reader.number(0, side - 1, "a row or column");
    b.second = reader.number(0, side - 1, "a row or column");
    all.push_back(b);
  }
  const float* shares = reader.floats(count, "shares");
  for (int i = 0; i < count; ++i) {
    require(std::isfinite(shares[i]), "a share is not finite");
    all[i].share = shares[i];
  }
  return all;
}

void read_product(Reader& reader, Operator& op, const Tensor& a, const Tensor& b,
                  const Tensor& out) {
  op.over_columns = reader.word(0, 1, "a flag") != 0;
  require(
      a.channels % op.groups == 0 && b.channels % op.groups == 0 && out.channels % op.groups == 0,
      "channels do not divide into groups");
  require(b.height == 1, "a product's second tensor has several rows");
  require(out.height == a.height && out.width == a.width, "a product changes its rows");
  const int depth = a.channels / op.groups, columns = out.channels / op.groups;
  const int own = b.channels / op.groups;
  require(op.over_columns ? depth == b.width && columns == own : depth == own && columns == b.width,
          "matrices do not fit each other");
}

}  // namespace

void read_mixing(Reader& reader, Operator& op, const std::vector<Tensor>& tensors, int groups) {
  const Tensor &in = tensors[op.in], &out = tensors[op.out];
  op.groups = groups;
  switch (op.kind) {
    case Kind::combine:
      op.combination = static_cast<Combination>(reader.word(0, 5, "a combination"));
      require(spreads(in, out) && spreads(tensors[op.second], out), "tensors do not spread");
      break;
    case Kind::move: read_moving(reader, op, in, out); break;
    case Kind::resample:
      require(in.channels == out.channels, "an interpolation changes its channels");
      op.rows_between = read_between(reader, out.height, in.height);
      op.columns_between = read_between(reader, out.width, in.width);
      break;
    case Kind::normalise: {
      op.over_pixels = reader.word(0, 1, "a flag") != 0;
      op.normalisation.centred = reader.word(0, 1, "a flag") != 0;
      op.normalisation.epsilon = op.epilogue.low;
      require(op.epilogue.low >= 0, "an epsilon is below zero");
      require(in.channels == out.channels && in.height == out.height && in.width == out.width,
              "a normalisation changes its shape");
      require(in.channels % groups == 0, "channels do not divide into groups");
      const float* weights = reader.floats(out.channels, "weights");
      const float* bias = reader.floats(out.channels, "a bias");
      op.normalisation.weights.assign(weights, weights + out.channels);
      op.normalisation.bias.assign(bias, bias + out.channels);
      break;
    }
    case Kind::softmax:
      require(in.channels == out.channels && in.height == out.height && in.width == out.width,
              "a softmax changes its shape");
      require(in.channels % groups == 0, "channels do not divide into groups");
      break;
    case Kind::product: read_product(reader, op, in, tensors[op.second], out); break;
    case Kind::constant: {
      const int64_t count = static_cast<int64_t>(out.channels) * out.height * out.width;
      const float* values = reader.floats(count, "a constant");
      op.constant.resize(static_cast<size_t>(count));
      const int64_t area = static_cast<int64_t>(out.height) * out.width;
      for (int64_t i = 0; i < area; ++i)
        for (int c = 0; c < out.channels; ++c)
          op.constant[static_cast<size_t>(i * out.channels + c)] = values[c * area + i];
      break;
    }
    default: break;
  }
}

}  // namespace sparse
