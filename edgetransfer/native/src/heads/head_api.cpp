// The C interface of a head's steps, and what of them is not products of matrices.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>

#include "../common/processor.h"
#include "../common/spinning.h"
#include "step.h"

namespace head {
namespace {

constexpr int kAbandoned = 1 << 20;
// Who abandons a step writes it from outside and wakes nobody.
constexpr auto kNap = std::chrono::milliseconds(1);

// Threads of all steps that are asleep in wait().
std::mutex sleeping;
std::condition_variable woken;
std::atomic<int> asleep{0};

const Kernels& choose() {
  const native::Processor processor = native::choose_processor();
#if defined(__x86_64__)
  if (processor.kernels == native::Kernels::avx512) return kernels_avx512();
  if (processor.kernels == native::Kernels::avx2) return kernels_avx2();
#endif
  (void)processor;
  return kernels_portable();
}

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

// Softmax of a sample's logits, less one at its label, over the batch; its loss aside.
void residual(const Step& s, int64_t sample) {
  float* z = s.logits + sample * s.columns;
  const float* lower = z + s.batch * s.columns;
  for (int64_t k = 0; k < s.classes; ++k) z[k] += lower[k] + s.bias[k];
  const float top = *std::max_element(z, z + s.classes);
  const float of_label = z[s.labels[sample]] - top;
  kernels().exponentials(z, s.columns, top);
  float sum = 0;
  for (int64_t k = 0; k < s.classes; ++k) sum += z[k];
  const float importance = s.importance ? s.importance[sample] : 1.0f;
  s.losses[sample] = (std::log(sum) - of_label) * importance;
  const float share = importance / static_cast<float>(s.batch);
  for (int64_t k = 0; k < s.classes; ++k) z[k] *= share / sum;
  z[s.labels[sample]] -= share;
  std::fill(z + s.classes, z + s.columns, 0.0f);
}

void step_bias(const Step& s) {
  for (int64_t k = 0; k < s.classes; ++k) {
    float gradient = 0;
    for (int64_t n = 0; n < s.batch; ++n) gradient += s.logits[n * s.columns + k];
    float& velocity = s.bias_velocity[k];
    velocity = velocity * s.momentum + gradient + s.bias[k] * s.weight_decay;
    s.bias[k] -= velocity * s.learning_rate;
  }
}

// Whether the others have come, too; false if one of them never will. Whoever waits for a thread
// that the system has not scheduled sleeps soon, so that its core is free for that thread.
bool wait(Meeting& meeting, int count) {
  meeting.arrived.fetch_add(1, std::memory_order_seq_cst);
  if (asleep.load(std::memory_order_seq_cst)) {
    std::lock_guard<std::mutex> lock(sleeping);
    woken.notify_all();
  }
  const auto arrived = [&] { return meeting.arrived.load(std::memory_order_seq_cst); };
  if (!native::spin([&] { return arrived() >= count; })) {
    std::unique_lock<std::mutex> lock(sleeping);
    asleep.fetch_add(1, std::memory_order_seq_cst);
    while (arrived() < count) woken.wait_for(lock, kNap);
    asleep.fetch_sub(1, std::memory_order_seq_cst);
  }
  return arrived() < kAbandoned;
}

}  // namespace
}  // namespace head

#define EXPORTED extern "C" __attribute__((visibility("default")))

// The share of one of `parts` threads, 1 or 2, in a step; each of them calls this once. `meeting`
// is a zero that they share, and kAbandoned if one of them was kept from calling: then nothing
// is learned. However many there are, the same sums are made. 1, and nothing done, for a batch or
// columns that the kernels have no room for.
EXPORTED int head_step(const head::Step* step, int part, int parts, head::Meeting* meeting) {
  const head::Step& s = *step;
  if (s.batch < 1 || s.batch > head::kMostBatch || s.columns % head::kColumns) return 1;
  const int64_t middle = s.rows / 2, half = s.batch * s.columns;
  const bool upper = part == 0, lower = part + 1 == parts;
  if (upper) head::kernels().forward(s, 0, middle, s.logits);
  if (lower) head::kernels().forward(s, middle, s.rows, s.logits + half);
  if (!head::wait(*meeting, parts)) return 0;
  for (int64_t n = s.batch * part / parts; n < s.batch * (part + 1) / parts; ++n)
    head::residual(s, n);
  if (!head::wait(*meeting, 2 * parts)) return 0;
  if (upper) head::kernels().backward(s, 0, middle);
  if (lower) head::kernels().backward(s, middle, s.rows);
  if (lower) head::step_bias(s);
  return 0;
}
