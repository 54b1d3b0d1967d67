#include "threads.h"

#include "../common/spinning.h"

namespace sparse {
namespace {

constexpr uint64_t kTaken = (uint64_t{1} << Relay::kMostParts) - 1;

uint64_t step_of(uint64_t state) { return state >> Relay::kMostParts; }

int lowest(uint64_t bits) { return __builtin_ctzll(bits); }
int highest(uint64_t bits) { return 63 - __builtin_clzll(bits); }

}  // namespace

Threads::Threads(int count) {
  for (int i = 1; i < count; ++i) workers_.emplace_back([this, i] { work(i); });
}

Threads::~Threads() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  begin_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void Threads::run(const std::function<void(int)>& task) {
  if (workers_.empty()) return task(0);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    task_ = &task;
    ++round_;
  }
  begin_.notify_all();
  task(0);
  std::unique_lock<std::mutex> lock(mutex_);
  task_ = nullptr;
  end_.wait(lock, [this] { return inside_ == 0; });
}

void Threads::work(int index) {
  uint64_t seen = 0;
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    begin_.wait(lock, [&] { return stopping_ || (task_ && round_ != seen); });
    if (stopping_) return;
    seen = round_;
    const std::function<void(int)>& task = *task_;
    ++inside_;
    lock.unlock();
    task(index);
    lock.lock();
    if (--inside_ == 0) end_.notify_one();
  }
}

Relay::Relay(const std::vector<uint8_t>& parts, int threads)
    : parts_(parts), threads_(threads), left_(parts.empty() ? 0 : parts[0]) {}

bool Relay::next(int thread, Part& part) {
  uint64_t state = state_.load(std::memory_order_acquire);
  for (;;) {
    const uint64_t step = step_of(state);
    if (step == parts_.size()) return false;
    const int parts = parts_[step];
    const uint64_t free = ~state & ((uint64_t{1} << parts) - 1);
    if (!free) {
      wait(step);
      state = state_.load(std::memory_order_acquire);
      continue;
    }
    // A thread's own share from its beginning on, for what it read before lies in its own cache;
    // then from the end of the others'.
    const uint64_t own = free & (kTaken << (thread * parts / threads_)) &
                         (kTaken >> (kMostParts - (thread + 1) * parts / threads_));
    const int index = own ? lowest(own) : highest(free);
    if (state_.compare_exchange_weak(state, state | (uint64_t{1} << index),
                                     std::memory_order_acq_rel, std::memory_order_acquire)) {
      part = {static_cast<int>(step), index, parts};
      return true;
    }
  }
}

void Relay::done(const Part& part) {
  if (left_.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
  const size_t next = static_cast<size_t>(part.step) + 1;
  if (next < parts_.size()) left_.store(parts_[next], std::memory_order_relaxed);
  state_.store(static_cast<uint64_t>(next) << kMostParts, std::memory_order_seq_cst);
  if (asleep_.load(std::memory_order_seq_cst)) {
    std::lock_guard<std::mutex> lock(mutex_);
    moved_.notify_all();
  }
}

void Relay::wait(uint64_t step) {
  const auto moved = [&] { return step_of(state_.load(std::memory_order_seq_cst)) != step; };
  if (native::spin(moved)) return;
  std::unique_lock<std::mutex> lock(mutex_);
  asleep_.fetch_add(1, std::memory_order_seq_cst);
  moved_.wait(lock, moved);
  asleep_.fetch_sub(1, std::memory_order_seq_cst);
}

}  // namespace sparse
