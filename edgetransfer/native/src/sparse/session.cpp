#include "session.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>

namespace sparse {
namespace {

// Of this thread alone, so that others on the machine count little.
double now() {
#if defined(CLOCK_THREAD_CPUTIME_ID)
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
#else
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
#endif
}

}  // namespace

Session::Session(std::unique_ptr<Network> network, int threads)
    : network_(std::move(network)),
      threads_(std::max(1, threads)),
      filling_(*network_),
      arenas_(threads_.count()),
      seconds_(threads_.count(), std::vector<double>(network_->operators.size(), 0)) {}

const Program& Session::program(Filling::Way way, bool shared) {
  std::unique_ptr<Program>& made = programs_[way][shared];
  if (!made)
    made = std::make_unique<Program>(*network_, filling_.lanes[way], shared ? threads_.count() : 1);
  if (!zeros_ || zeros_->bytes() < made->zero_row_bytes)
    zeros_ = std::make_unique<Arena>(made->zero_row_bytes);
  return *made;
}

const Arena& Session::arena(int thread, const Program& program) {
  std::unique_ptr<Arena>& arena = arenas_[thread];
  if (!arena || arena->bytes() < program.arena_bytes) {
    arena.reset();  // first, so that both do not exist at a time
    arena = std::make_unique<Arena>(program.arena_bytes);
  }
  return *arena;
}

void Session::alone(const Program& program, const Batch& batch, int64_t first, int thread) {
  const Run run(program, *arenas_[thread], zeros_->data(), batch, first);
  for (const Step& step : program.steps) {
    const double start = profiling_ ? now() : 0;
    run.step(step, 0, 1);
    const int op = program.works[step.work].op;
    if (profiling_ && op >= 0) seconds_[thread][op] += now() - start;
  }
  run.unpack();
}

void Session::together(const Program& program, const Batch& batch, int64_t first) {
  const Run run(program, *arenas_[0], zeros_->data(), batch, first);
  Relay relay(program.parts, threads_.count());
  threads_.run([&](int thread) {
    for (Relay::Part part; relay.next(thread, part);) {
      const Step& step = program.steps[part.step];
      const double start = profiling_ ? now() : 0;
      run.step(step, part.index, part.parts);
      const int op = program.works[step.work].op;
      if (profiling_ && op >= 0) seconds_[thread][op] += now() - start;
      relay.done(part);
    }
  });
  run.unpack();
}

void Session::run(const Batch& batch) {
  const int parts = threads_.count();
  int64_t first = 0;
  // Whole sets of lanes, as many as go round evenly; a thread that is held up by other programs
  // takes fewer of them.
  const int64_t sets = batch.count / kLanes / parts * parts;
  if (sets) {
    const Program& whole = program(Filling::sixteen, false);
    for (int t = 0; t < parts; ++t) arena(t, whole);
    std::atomic<int64_t> next{0};
    threads_.run([&](int thread) {
      for (int64_t set; (set = next.fetch_add(1)) < sets;)
        alone(whole, batch, set * kLanes, thread);
    });
    first = sets * kLanes;
  }
  // The rest one after the other, all threads on each.
  while (first < batch.count) {
    const Program& rest = program(filling_.next(batch.count - first), true);
    arena(0, rest);
    together(rest, batch, first);
    first += rest.lanes.images;
  }
}

void Session::take_profile(double* seconds) {
  for (size_t i = 0; i < network_->operators.size(); ++i) {
    seconds[i] = 0;
    for (std::vector<double>& thread : seconds_) {
      seconds[i] += thread[i];
      thread[i] = 0;
    }
  }
}

int64_t Session::memory() const {
  int64_t bytes = 0;
  for (const auto& arena : arenas_) bytes += arena ? arena->bytes() : 0;
  return bytes;
}

}  // namespace sparse
