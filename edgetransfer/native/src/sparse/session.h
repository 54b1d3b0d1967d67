// A network that is ready to run batches of any size.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "execute.h"
#include "filling.h"
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
  // For one thread, or for all that share each step.
  const Program& program(Filling::Way way, bool shared);
  const Arena& arena(int thread, const Program& program);
  void alone(const Program& program, const Batch& batch, int64_t first, int thread);
  void together(const Program& program, const Batch& batch, int64_t first);

  std::unique_ptr<Network> network_;
  Threads threads_;
  Filling filling_;
  std::array<std::array<std::unique_ptr<Program>, 2>, Filling::kWays> programs_;
  std::vector<std::unique_ptr<Arena>> arenas_;
  std::unique_ptr<Arena> zeros_;
  bool profiling_ = false;
  std::vector<std::vector<double>> seconds_;  // by thread and operator
};

}  // namespace sparse
