// What an operator of a tiled program reads: each tile with what it needs from others.
#include <limits>

#include "program.h"

namespace sparse {

// The storage that a windowed operator reads in a tiled program: each tile with the pixels around
// it that the windows of its outputs reach, and fill where these lie outside of the image.
int Program::retiled(const Operator& op, Work& work) {
  const Tensor& whole = network.tensors[op.in];
  const Storage out = storages[op.out];
  const Storage in = storages[op.in];
  const bool copies = op.kind == Kind::copy;
  const int step_y = op.stride_y * out.height, step_x = op.stride_x * out.width;
  const bool point = op.kernel_h == 1 && op.kernel_w == 1 && !op.pad_top && !op.pad_left;
  // Beyond its image a tile holds anything; who reads further must be given what stands there.
  const Tensor& made = network.tensors[op.out];
  const bool covered = made.height <= whole.height && made.width <= whole.width;
  const bool aligned = step_y == op.stride_y * in.height && step_x == op.stride_x * in.width &&
                       op.stride_y == 1 && op.stride_x == 1;
  if (point && aligned && covered && (!copies || (!op.row_offset && !op.column_offset)))
    return op.in;
  Storage s = in;
  s.height = (out.height - 1) * op.stride_y + (op.kernel_h - 1) * op.dilation_y + 1;
  s.width = (out.width - 1) * op.stride_x + (op.kernel_w - 1) * op.dilation_x + 1;
  Retiling retiling;
  if (op.kind == Kind::max_pool) retiling.fill = -std::numeric_limits<float>::infinity();
  if (copies) retiling.fill = op.fill;
  const int above = copies ? op.row_offset : op.pad_top;
  const int before = copies ? op.column_offset : op.pad_left;
  const int64_t in_row = in.width * in.pixel_bytes;
  retiling.from.reserve(static_cast<size_t>(s.height) * s.width * kLanes);
  for (int y = 0; y < s.height; ++y)
    for (int x = 0; x < s.width; ++x)
      for (int l = 0; l < kLanes; ++l) {
        const int tile_y = l / lanes.tiles_x % lanes.tiles_y, tile_x = l % lanes.tiles_x;
        const int from_y = tile_y * step_y + y - above, from_x = tile_x * step_x + x - before;
        if (from_y < 0 || from_x < 0 || from_y >= whole.height || from_x >= whole.width) {
          retiling.from.push_back(-1);
          continue;
        }
        const int image = l / (lanes.tiles_y * lanes.tiles_x);
        const int lane =
            (image * lanes.tiles_y + from_y / in.height) * lanes.tiles_x + from_x / in.width;
        retiling.from.push_back((from_y % in.height) * in_row +
                                (from_x % in.width) * in.pixel_bytes +
                                lane * static_cast<int64_t>(sizeof(float)));
      }
  work.pad_top = work.pad_left = 0;
  return add_retiling(op.in, s, std::move(retiling));
}

// The storage of a tensor that is one row or column (or both) for all of an output's: each tile has
// it.
int Program::spread(int tensor, const Operator& op) {
  const Tensor &whole = network.tensors[tensor], &made = network.tensors[op.out];
  const bool all_rows = whole.height == made.height, all_columns = whole.width == made.width;
  if (all_rows && all_columns) return tensor;
  const Storage in = storages[tensor];
  Retiling retiling;
  const int64_t in_row = in.width * in.pixel_bytes;
  for (int y = 0; y < in.height; ++y)
    for (int x = 0; x < in.width; ++x)
      for (int l = 0; l < kLanes; ++l) {
        const int tile_y = all_rows ? l / lanes.tiles_x % lanes.tiles_y : 0;
        const int tile_x = all_columns ? l % lanes.tiles_x : 0;
        const int image = l / (lanes.tiles_y * lanes.tiles_x);
        const int lane = (image * lanes.tiles_y + tile_y) * lanes.tiles_x + tile_x;
        retiling.from.push_back(y * in_row + x * in.pixel_bytes +
                                lane * static_cast<int64_t>(sizeof(float)));
      }
  return add_retiling(tensor, in, std::move(retiling));
}

int Program::add_retiling(int tensor, Storage made, Retiling retiling) {
  const int number = static_cast<int>(storages.size());
  storages.push_back(made);
  retilings.push_back(std::move(retiling));
  Work retile{};
  retile.task = Task::retile;
  retile.in = tensor;
  retile.out = number;
  retile.retiling = static_cast<int>(retilings.size()) - 1;
  works.push_back(retile);
  return number;
}

}  // namespace sparse
