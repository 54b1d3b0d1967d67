// How a batch fills the lanes: with whole images, or with tiles of four images or of one.
#pragma once

#include <array>
#include <cstdint>

#include "program.h"

namespace sparse {

struct Filling {
  enum Way : uint8_t { sixteen, four, one, kWays };

  explicit Filling(const Network& network);

  // The way for the next images of a batch of which so many are left.
  Way next(int64_t images) const {
    return images >= kLanes ? sixteen : next_[static_cast<size_t>(images)];
  }

  std::array<Lanes16, kWays> lanes;

 private:
  std::array<Way, kLanes> next_{};
};

}  // namespace sparse
