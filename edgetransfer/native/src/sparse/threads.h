// A pool of threads, and a relay of steps that those share which are free.
//
// Nothing here ever waits for a thread that the system has not scheduled, unless that thread is in
// the middle of something: one that comes late finds its work done, and one that waits for another
// sleeps soon, so that the system moves the other to the core that has become free. A laptop is
// never idle.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace sparse {

class Threads {
 public:
  explicit Threads(int count);
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads();

  int count() const { return static_cast<int>(workers_.size()) + 1; }
  // Call task(0), and task(1) to task(count() - 1) in the threads of those that come before task(0)
  // has returned; wait for all that came. So task(0) must return only once nothing is left to
  // begin. The task must not throw.
  void run(const std::function<void(int)>& task);

 private:
  void work(int index);

  std::mutex mutex_;
  std::condition_variable begin_, end_;
  const std::function<void(int)>* task_ = nullptr;  // none once a round is closed
  uint64_t round_ = 0;
  int inside_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

// Steps that are done one after the other, each in parts by whoever is free.
class Relay {
 public:
  static constexpr int kMostParts = 40;

  struct Part {
    int step, index, parts;
  };

  // parts[i], 1 to kMostParts, is into how many parts step i falls.
  Relay(const std::vector<uint8_t>& parts, int threads);

  // The next part for a thread, those near its own share first; waits while all parts of a step
  // are in others' hands. False once all steps are done.
  bool next(int thread, Part& part);
  void done(const Part& part);

 private:
  void wait(uint64_t step);

  const std::vector<uint8_t>& parts_;
  const int threads_;
  std::atomic<uint64_t> state_{0};  // the step, and below it a bit for each part that is taken
  std::atomic<int> left_;           // parts of the step that are not done
  std::atomic<int> asleep_{0};
  std::mutex mutex_;
  std::condition_variable moved_;
};

}  // namespace sparse
