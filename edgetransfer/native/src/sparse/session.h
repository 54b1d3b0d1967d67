// A network that is ready to run batches of any size.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "execute.h"
#include "threads.h"

namespace sparse {

class Session {
 public:
  Session(std::unique_ptr<Network> network, int threads);

  const Network& network() const { return *network_; }
  void run(const Batch& batch);
  // Seconds that each operator of the network took in the runs since the last call.
  void profile(bool on) { profiling_ = on; }
  void take_profile(double* seconds);
  int64_t memory() const;

 private:
  enum Layout { kWhole, kWholeShared, kQuarters, kSixteenths, kLayouts };

  const Program& program(Layout layout);
  Layout layout_for(int64_t images) const;
  const Arena& arena(int thread, const Program& program);
  void alone(const Program& program, const Batch& batch, int64_t first, int thread);
  void together(const Program& program, const Batch& batch, int64_t first);

  std::unique_ptr<Network> network_;
  Threads threads_;
  bool tiles_;  // whether every operator can run on tiles
  std::array<std::unique_ptr<Program>, kLayouts> programs_;
  std::vector<std::unique_ptr<Arena>> arenas_;
  std::unique_ptr<Arena> zeros_;
  bool profiling_ = false;
  std::vector<std::vector<double>> seconds_;  // by thread and operator
};

}  // namespace sparse
