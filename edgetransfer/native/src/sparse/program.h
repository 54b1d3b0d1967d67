// A network laid out in memory for one way of filling the lanes, and the order of its work.
#pragma once

#include <cstdint>
#include <vector>

#include "network.h"

namespace sparse {

// Layers whose code and weights are larger than this run whole, one after the other, so that they
// are fetched once; those before them row by row, so that activations stay in the caches.
constexpr int64_t kStreamedCode = 1 << 20;

// What the sixteen lanes hold: so many images, each cut into tiles_y by tiles_x tiles.
struct Lanes16 {
  int images, tiles_y, tiles_x;
};

// A tensor in memory: rows of pixels, with zeros left and right of them where kernels reach there.
// Only the last `ring` rows are kept.
struct Storage {
  int channels, height, width;
  int left = 0, right = 0;
  int ring = 0;
  int64_t pixel_bytes = 0;
  int64_t offset = 0;  // in the arena

  int64_t row_bytes() const { return (left + width + right) * pixel_bytes; }
  int64_t bytes() const { return ring * row_bytes(); }
  char* row(char* arena, int y) const {
    return arena + offset + (y % ring) * row_bytes() + left * pixel_bytes;
  }
};

enum class Task : int32_t { pack, retile, compute };

// Where each lane of each pixel of a retiled tensor comes from: bytes from the source's start, or
// kFilled for the fill, or kKept where what stands there stays.
constexpr int64_t kFilled = -1, kKept = -2;
struct Retiling {
  std::vector<int64_t> from;
  float fill = 0;
};

struct Work {
  Task task;
  int op = -1;                         // of the network, for compute
  int in = -1, second = -1, out = -1;  // storages
  int pad_top = 0, pad_left = 0;
  int retiling = -1, channel = 0;  // of a retiling: which, and the first channel that it writes
  Form form = Form::sparse_rows;   // of a convolution, here
  int strip = 8, rows = 1;  // how a convolution walks: pixels and rows for each block of channels
};

struct Step {
  int work, first_row, last_row;  // exclusive
};

class Program {
 public:
  // For so many threads that share each step.
  Program(const Network& network, Lanes16 lanes, int threads);

  const Network& network;
  const Lanes16 lanes;
  const int threads;
  std::vector<Storage> storages;
  std::vector<Retiling> retilings;
  std::vector<Work> works;
  std::vector<Step> steps;
  std::vector<uint8_t> parts;  // into how many each step falls where threads share it
  int output = 0;              // the storage of the network's output
  int64_t arena_bytes = 0;     // of activations
  int64_t zero_row_bytes = 0;

  // Whether a step that is shared is shared by output channels, not by rows.
  bool shares_channels(const Step& step) const;
  bool tiled() const { return lanes.tiles_y * lanes.tiles_x > 1; }
  // The row or column in the whole image of a tile's first, for a tensor of that many.
  static int tile(int side, int tiles) { return (side + tiles - 1) / tiles; }

 private:
  friend class Interleaving;
  void place(const Tensor& tensor);
  void add_tiled(const Operator& op, Work work);
  void add_whole(const Operator& op, Work work);
  int retiled(const Operator& op, Work& work);
  int spread(int tensor, const Operator& op);
  int whole(int tensor);
  bool same_tiles(const Operator& op) const;
  void scatter(const Operator& op);
  void gather(const Operator& op);
  int add_storage(const Storage& made);
  void add_retiling(int from, int to, Retiling retiling, int channel = 0);
  template <typename F>
  Retiling each_lane(const Storage& out, F from) const;
  int64_t place_of(int tensor, int image, int row, int column) const;
  void reach_columns();
  void order();
  void choose_walks();
  void allocate();
  void divide();
  int rows_needed(const Work& work, int last_row) const;
  int first_row(const Work& work, int row) const;
  int second_rows(const Work& work, int last_row) const;
  bool streams(const Work& work) const;
  int crossing(size_t work) const;
};

}  // namespace sparse
