// What an operator of a tiled program reads, and how it gets to tiles what it makes.
#include <algorithm>
#include <limits>

#include "program.h"

namespace sparse {
namespace {

bool leads_to_itself(const std::vector<Place>& places, int Place::* axis) {
  for (size_t i = 0; i < places.size(); ++i) {
    Place p = places[i];
    if (p.*axis != static_cast<int>(i)) return false;
    p.*axis = 0;
    if (p.channel || p.row || p.column) return false;
  }
  return true;
}

bool within_pixels(const Moving& m) {
  return leads_to_itself(m.rows, &Place::row) && leads_to_itself(m.columns, &Place::column) &&
         std::all_of(m.channels.begin(), m.channels.end(),
                     [](const Place& p) { return !p.row && !p.column; });
}

bool whole_pixels(const Moving& m) {
  const auto stays = [](const Place& p) { return !p.channel; };
  return leads_to_itself(m.channels, &Place::channel) &&
         std::all_of(m.rows.begin(), m.rows.end(), stays) &&
         std::all_of(m.columns.begin(), m.columns.end(), stays);
}

}  // namespace

// What needs no more than its own pixels runs on tiles as it is. What looks around itself is given
// tiles with more around them; what may look anywhere, the whole image in each lane.
void Program::add_tiled(const Operator& op, Work work) {
  switch (op.kind) {
    case Kind::convolution:
    case Kind::depthwise:
    case Kind::max_pool: work.in = retiled(op, work); break;
    case Kind::average_pool:
      // What lies outside of the image, and does not count, differs from tile to tile.
      if (!op.counts_padding) return add_whole(op, work);
      work.in = retiled(op, work);
      break;
    case Kind::copy:
      if (op.leaves_rest()) return scatter(op);
      work.in = retiled(op, work);
      break;
    case Kind::combine:
      work.in = spread(op.in, op);
      work.second = spread(op.second, op);
      break;
    case Kind::product: work.second = whole(op.second); break;
    case Kind::move:
      if (same_tiles(op) && within_pixels(op.moving)) break;
      return whole_pixels(op.moving) ? gather(op) : add_whole(op, work);
    case Kind::resample: return add_whole(op, work);
    case Kind::normalise:
      if (op.over_pixels) return add_whole(op, work);
      break;
    default: break;
  }
  works.push_back(work);
}

bool Program::same_tiles(const Operator& op) const {
  const Storage &in = storages[op.in], &out = storages[op.out];
  return in.height == out.height && in.width == out.width;
}

// For each lane of each pixel of a storage, where `from` says for an image's row and column that it
// comes from. Beyond the image the last pixel stands for what may be anything.
template <typename F>
Retiling Program::each_lane(const Storage& out, F from) const {
  Retiling retiling;
  retiling.from.reserve(static_cast<size_t>(out.height) * out.width * kLanes);
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x)
      for (int l = 0; l < kLanes; ++l)
        retiling.from.push_back(from(l / (lanes.tiles_y * lanes.tiles_x),
                                     l / lanes.tiles_x % lanes.tiles_y, l % lanes.tiles_x, y, x));
  return retiling;
}

// Where a pixel of an image is in the tiles of a tensor, its lane included.
int64_t Program::place_of(int tensor, int image, int row, int column) const {
  const Storage& s = storages[tensor];
  const int lane = (image * lanes.tiles_y + row / s.height) * lanes.tiles_x + column / s.width;
  return (row % s.height * s.width + column % s.width) * s.pixel_bytes +
         lane * static_cast<int64_t>(sizeof(float));
}

// The storage that a windowed operator reads in a tiled program: each tile with the pixels around
// it that the windows of its outputs reach, and fill where these lie outside of the image.
int Program::retiled(const Operator& op, Work& work) {
  const Tensor& image_in = network.tensors[op.in];
  const Storage out = storages[op.out];
  const Storage in = storages[op.in];
  const bool copies = op.kind == Kind::copy;
  const int step_y = op.stride_y * out.height, step_x = op.stride_x * out.width;
  const bool point = op.kernel_h == 1 && op.kernel_w == 1 && !op.pad_top && !op.pad_left;
  // Beyond its image a tile holds anything; who reads further must be given what stands there.
  const Tensor& made = network.tensors[op.out];
  const bool covered = made.height <= image_in.height && made.width <= image_in.width;
  const bool aligned = step_y == op.stride_y * in.height && step_x == op.stride_x * in.width &&
                       op.stride_y == 1 && op.stride_x == 1;
  if (point && aligned && covered && (!copies || (!op.row_offset && !op.column_offset)))
    return op.in;
  Storage s = in;
  s.height = (out.height - 1) * op.stride_y + (op.kernel_h - 1) * op.dilation_y + 1;
  s.width = (out.width - 1) * op.stride_x + (op.kernel_w - 1) * op.dilation_x + 1;
  const int above = copies ? op.row_offset : op.pad_top;
  const int before = copies ? op.column_offset : op.pad_left;
  Retiling retiling = each_lane(s, [&](int image, int tile_y, int tile_x, int y, int x) {
    const int row = tile_y * step_y + y - above, column = tile_x * step_x + x - before;
    if (row < 0 || column < 0 || row >= image_in.height || column >= image_in.width) return kFilled;
    return place_of(op.in, image, row, column);
  });
  if (op.kind == Kind::max_pool) retiling.fill = -std::numeric_limits<float>::infinity();
  if (copies) retiling.fill = op.fill;
  work.pad_top = work.pad_left = 0;
  const int number = add_storage(s);
  add_retiling(op.in, number, std::move(retiling));
  return number;
}

// The storage of a tensor that is one row or column (or both) for all of an output's: each tile has
// it.
int Program::spread(int tensor, const Operator& op) {
  const Tensor &one = network.tensors[tensor], &made = network.tensors[op.out];
  const bool all_rows = one.height == made.height, all_columns = one.width == made.width;
  if (all_rows && all_columns) return tensor;
  const Storage in = storages[tensor];
  const int number = add_storage(in);
  add_retiling(tensor, number, each_lane(in, [&](int image, int tile_y, int tile_x, int y, int x) {
                 const int row = all_rows ? tile_y * in.height + y : y;
                 const int column = all_columns ? tile_x * in.width + x : x;
                 return place_of(tensor, image, std::min(row, one.height - 1),
                                 std::min(column, one.width - 1));
               }));
  return number;
}

// The storage of a tensor with the whole image in each of its lanes.
int Program::whole(int tensor) {
  const Tensor& t = network.tensors[tensor];
  Storage s = storages[tensor];
  s.height = t.height;
  s.width = t.width;
  const int number = add_storage(s);
  add_retiling(tensor, number, each_lane(s, [&](int image, int, int, int y, int x) {
                 return place_of(tensor, image, y, x);
               }));
  return number;
}

// Run on whole images, and cut what comes out into tiles.
void Program::add_whole(const Operator& op, Work work) {
  const Tensor& made = network.tensors[op.out];
  work.in = whole(op.in);
  Storage s = storages[op.out];
  s.height = made.height;
  s.width = made.width;
  work.out = add_storage(s);
  works.push_back(work);
  const Storage out = storages[op.out];
  add_retiling(work.out, op.out,
               each_lane(out, [&](int image, int tile_y, int tile_x, int y, int x) {
                 const int row = std::min(tile_y * out.height + y, made.height - 1);
                 const int column = std::min(tile_x * out.width + x, made.width - 1);
                 const int lane = (image * lanes.tiles_y + tile_y) * lanes.tiles_x + tile_x;
                 return (row * made.width + column) * s.pixel_bytes +
                        lane * static_cast<int64_t>(sizeof(float));
               }));
}

// A copy into a part of a tensor: other lanes of the same pixels may belong to another part.
void Program::scatter(const Operator& op) {
  const Tensor& from = network.tensors[op.in];
  const Storage out = storages[op.out];
  add_retiling(op.in, op.out,
               each_lane(out,
                         [&](int image, int tile_y, int tile_x, int y, int x) {
                           const int row = tile_y * out.height + y - op.row_offset;
                           const int column = tile_x * out.width + x - op.column_offset;
                           if (row < 0 || column < 0 || row >= from.height || column >= from.width)
                             return kKept;
                           return place_of(op.in, image, row, column);
                         }),
               op.channel_offset);
}

// A move of whole pixels.
void Program::gather(const Operator& op) {
  const Tensor& made = network.tensors[op.out];
  const Storage out = storages[op.out];
  add_retiling(
      op.in, op.out, each_lane(out, [&](int image, int tile_y, int tile_x, int y, int x) {
        const Place& r = op.moving.rows[std::min(tile_y * out.height + y, made.height - 1)];
        const Place& c = op.moving.columns[std::min(tile_x * out.width + x, made.width - 1)];
        return place_of(op.in, image, r.row + c.row, r.column + c.column);
      }));
}

int Program::add_storage(const Storage& made) {
  storages.push_back(made);
  return static_cast<int>(storages.size()) - 1;
}

void Program::add_retiling(int from, int to, Retiling retiling, int channel) {
  retilings.push_back(std::move(retiling));
  Work retile{};
  retile.task = Task::retile;
  retile.in = from;
  retile.out = to;
  retile.retiling = static_cast<int>(retilings.size()) - 1;
  retile.channel = channel;
  works.push_back(retile);
}

}  // namespace sparse
