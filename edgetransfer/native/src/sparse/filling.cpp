#include "filling.h"

#include <algorithm>
#include <limits>

namespace sparse {
namespace {

// Of whole images' time for as many lanes: tiles are cut and joined at each window, and run layer
// by layer (measured 1.2 to 1.5: EfficientNet-Lite0, MobileNetV2, DeiT-Ti).
constexpr double kTiling = 1.5;
// Squares share the most pixels with their neighbours; stripes have to be so much cheaper.
constexpr double kStripes = 0.8;

// Multiply-adds of one lane, what is computed beyond the image included.
double cost(const Network& network, Lanes16 lanes) {
  double sum = 0;
  for (const Operator& op : network.operators) {
    const Tensor &out = network.tensors[op.out], &in = network.tensors[op.in];
    const double pixels = static_cast<double>(Program::tile(out.height, lanes.tiles_y)) *
                          Program::tile(out.width, lanes.tiles_x);
    const double depth = op.kind == Kind::product ? in.channels / op.groups : 0;
    sum += pixels * (static_cast<double>(op.weights) + depth * out.channels);
  }
  return sum;
}

// Squares, unless the images are much longer one way: tokens are a row.
Lanes16 best_tiles(const Network& network, int images, int side) {
  Lanes16 best{images, side, side};
  double least = kStripes * cost(network, best);
  for (const Lanes16& lanes : {Lanes16{images, 1, side * side}, Lanes16{images, side * side, 1}})
    if (const double c = cost(network, lanes); c < least) {
      best = lanes;
      least = c;
    }
  return best;
}

}  // namespace

Filling::Filling(const Network& network)
    : lanes{Lanes16{kLanes, 1, 1}, best_tiles(network, 4, 2), best_tiles(network, 1, 4)} {
  const std::array<double, kWays> once = {cost(network, lanes[sixteen]),
                                          kTiling * cost(network, lanes[four]),
                                          kTiling * cost(network, lanes[one])};
  // The cheapest way to run so many images, one kind of filling after the other.
  std::array<double, kLanes> least{};
  for (int images = 1; images < kLanes; ++images) {
    least[images] = std::numeric_limits<double>::infinity();
    for (const Way way : {sixteen, four, one}) {
      const double all = once[way] + least[std::max(0, images - lanes[way].images)];
      if (all >= least[images]) continue;
      least[images] = all;
      next_[images] = way;
    }
  }
}

}  // namespace sparse
