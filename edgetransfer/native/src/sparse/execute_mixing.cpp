// Steps of operators that mix tensors, pixels or channels without weights.
#include <algorithm>
#include <cstring>

#include "execute.h"

namespace sparse {

void Run::combine(const Work& work, const Operator& op, int y) const {
  const Storage &a = program_.storages[work.in], &b = program_.storages[work.second];
  const Storage& out = program_.storages[work.out];
  const char *from_a = a.row(arena_, std::min(y, a.height - 1)),
             *from_b = b.row(arena_, std::min(y, b.height - 1));
  char* to = out.row(arena_, y);
  const int64_t next_a = a.width == out.width ? a.pixel_bytes : 0;
  const int64_t next_b = b.width == out.width ? b.pixel_bytes : 0;
  const int64_t step_a = a.channels == out.channels ? kVectorBytes : 0;
  const int64_t step_b = b.channels == out.channels ? kVectorBytes : 0;
  for (int x = 0; x < out.width; ++x)
    program_.network.kernels->combine(op.combination, from_a + x * next_a, step_a,
                                      from_b + x * next_b, step_b, out.channels, op.epilogue,
                                      to + x * out.pixel_bytes);
}

void Run::move(const Work& work, const Operator& op, int y) const {
  const Storage &in = program_.storages[work.in], &out = program_.storages[work.out];
  const char* start = in.row(arena_, 0);
  const auto bytes = [&](const Place& p) {
    return p.channel * kVectorBytes + p.row * in.row_bytes() + p.column * in.pixel_bytes;
  };
  const std::vector<Place>& channels = op.moving.channels;
  const int count = static_cast<int>(channels.size());
  const char* row = start + bytes(op.moving.rows[y]);
  for (int first = 0; first < count;) {
    // Channels that follow each other there too go in one piece.
    int last = first + 1;
    while (last < count && bytes(channels[last]) == bytes(channels[last - 1]) + kVectorBytes)
      ++last;
    const char* from = row + bytes(channels[first]);
    char* to = out.row(arena_, y) + first * kVectorBytes;
    for (int x = 0; x < out.width; ++x)
      std::memcpy(to + x * out.pixel_bytes, from + bytes(op.moving.columns[x]),
                  (last - first) * kVectorBytes);
    first = last;
  }
}

void Run::resample(const Work& work, const Operator& op, int y) const {
  const Storage &in = program_.storages[work.in], &out = program_.storages[work.out];
  const Between& rows = op.rows_between[y];
  const char *upper = in.row(arena_, rows.first), *lower = in.row(arena_, rows.second);
  for (int x = 0; x < out.width; ++x) {
    const Between& columns = op.columns_between[x];
    const int64_t left = columns.first * in.pixel_bytes, right = columns.second * in.pixel_bytes;
    program_.network.kernels->resample(
        {upper + left, upper + right, lower + left, lower + right, rows.share, columns.share},
        out.channels, out.row(arena_, y) + x * out.pixel_bytes);
  }
}

void Run::normalise_pixels(const Work& work, const Operator& op, int y) const {
  const Storage &in = program_.storages[work.in], &out = program_.storages[work.out];
  const int own = out.channels / op.groups;
  for (int x = 0; x < out.width; ++x) {
    const Plane from{in.row(arena_, y) + x * in.pixel_bytes, 1, 1, 0, 0};
    const Plane to{out.row(arena_, y) + x * out.pixel_bytes, 1, 1, 0, 0};
    for (int g = 0; g < op.groups; ++g)
      program_.network.kernels->normalise(op.normalisation, g * own, (g + 1) * own, from, to);
  }
}

void Run::normalise_plane(const Work& work, const Operator& op, int g0, int g1) const {
  const Storage &in = program_.storages[work.in], &out = program_.storages[work.out];
  const int own = out.channels / op.groups;
  const Plane from{in.row(arena_, 0), in.height, in.width, in.row_bytes(), in.pixel_bytes};
  const Plane to{out.row(arena_, 0), out.height, out.width, out.row_bytes(), out.pixel_bytes};
  for (int g = g0; g < g1; ++g)
    program_.network.kernels->normalise(op.normalisation, g * own, (g + 1) * own, from, to);
}

void Run::softmax(const Work& work, const Operator& op, int y, int g0, int g1) const {
  const Storage &in = program_.storages[work.in], &out = program_.storages[work.out];
  const int own = out.channels / op.groups;
  const int64_t start = static_cast<int64_t>(g0) * own * kVectorBytes;
  for (int x = 0; x < out.width; ++x)
    program_.network.kernels->softmax(in.row(arena_, y) + x * in.pixel_bytes + start, g1 - g0, own,
                                      out.row(arena_, y) + x * out.pixel_bytes + start);
}

void Run::product(const Work& work, const Operator& op, int y, int g0, int g1) const {
  const Storage &a = program_.storages[work.in], &b = program_.storages[work.second];
  const Storage& out = program_.storages[work.out];
  const int depth = a.channels / op.groups, columns = out.channels / op.groups;
  const int own = b.channels / op.groups;
  for (int g = g0; g < g1; ++g) {
    Product m{};
    m.a = a.row(arena_, y) + static_cast<int64_t>(g) * depth * kVectorBytes;
    m.b = b.row(arena_, 0) + static_cast<int64_t>(g) * own * kVectorBytes;
    m.out = out.row(arena_, y) + static_cast<int64_t>(g) * columns * kVectorBytes;
    m.a_next = a.pixel_bytes;
    m.b_step = op.over_columns ? b.pixel_bytes : kVectorBytes;
    m.b_next = op.over_columns ? kVectorBytes : b.pixel_bytes;
    m.out_next = out.pixel_bytes;
    m.rows = out.width;
    m.columns = columns;
    m.depth = depth;
    program_.network.kernels->product(m);
  }
}

void Run::constant(const Work& work, const Operator& op, int y) const {
  const Storage& out = program_.storages[work.out];
  const Tensor& whole = program_.network.tensors[op.out];
  const Lanes16& l = program_.lanes;
  for (int x = 0; x < out.width; ++x) {
    float* to = reinterpret_cast<float*>(out.row(arena_, y) + x * out.pixel_bytes);
    for (int i = 0; i < kLanes; ++i) {
      // Beyond the image a tile holds anything; here the last pixel.
      const int row = std::min(i / l.tiles_x % l.tiles_y * out.height + y, whole.height - 1);
      const int column = std::min(i % l.tiles_x * out.width + x, whole.width - 1);
      const float* from =
          op.constant.data() + (static_cast<int64_t>(row) * whole.width + column) * out.channels;
      for (int c = 0; c < out.channels; ++c) to[static_cast<int64_t>(c) * kLanes + i] = from[c];
    }
  }
}

void Run::mix(const Work& work, const Operator& op, int y, int g0, int g1) const {
  switch (op.kind) {
    case Kind::combine: return combine(work, op, y);
    case Kind::move: return move(work, op, y);
    case Kind::resample: return resample(work, op, y);
    case Kind::normalise: return normalise_pixels(work, op, y);
    case Kind::softmax: return softmax(work, op, y, g0, g1);
    case Kind::product: return product(work, op, y, g0, g1);
    case Kind::constant: return constant(work, op, y);
    default: return;
  }
}

}  // namespace sparse
