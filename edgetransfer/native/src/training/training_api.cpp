// The C interface of training at fixed masks: what it is handed is checked, then cut into parts
// that threads take as they come. However many there are, the same sums are made.
#include <algorithm>
#include <atomic>

#include "../common/processor.h"
#include "../sparse/threads.h"
#include "training.h"

namespace training {
namespace {

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

using Threads = sparse::Threads;

constexpr int64_t kPartsAThread = 8;  // so that nobody waits long for the last one

template <typename Part>
void share(Threads& threads, int64_t parts, const Part& part) {
  std::atomic<int64_t> next{0};
  threads.run([&](int) {
    for (int64_t i; (i = next.fetch_add(1)) < parts;) part(i);
  });
}

// The same for channels, in about `wanted` runs of some.
template <typename Part>
void share_channels(Threads& threads, int64_t channels, int64_t wanted, const Part& part) {
  const int64_t parts = std::max<int64_t>(1, std::min(wanted, channels));
  share(threads, parts, [&](int64_t i) { part(channels * i / parts, channels * (i + 1) / parts); });
}

bool fits(int64_t blocks, int64_t rows, int64_t pixels, int64_t block, int64_t row, int64_t pixel,
          int64_t rest, int64_t size) {
  return block >= 0 && row >= 0 && pixel >= 0 && rest >= 0 &&
         (blocks - 1) * block + (rows - 1) * row + (pixels - 1) * pixel + rest <= size;
}

bool valid(const Walk& w) {
  if (w.blocks < 1 || w.rows < 1 || w.pixels < 1 || w.channels < 1 || w.groups < 1) return false;
  const int64_t lists = w.groups * w.channels;
  if (w.starts[0] != 0 || w.starts[lists] != w.weights) return false;
  for (int64_t i = 0; i < lists; ++i)
    if (w.starts[i] > w.starts[i + 1]) return false;
  int64_t last = 0;
  for (int64_t i = 0; i < w.weights; ++i) {
    if (w.offsets[i] < 0) return false;
    last = std::max<int64_t>(last, w.offsets[i]);
  }
  return (!w.weights || fits(w.blocks, w.rows, w.pixels, w.in_block, w.in_row, w.in_pixel,
                             last + kLanes, w.in_size)) &&
         fits(w.blocks, w.rows, w.pixels, w.out_block, w.out_row, w.out_pixel, w.channels * kLanes,
              w.out_size);
}

bool valid(const Norm& n) {
  return n.blocks > 0 && n.pixels > 0 && n.channels > 0 && n.images > 16 * (n.blocks - 1) &&
         n.images <= 16 * n.blocks;
}

template <typename Kernel>
int of_channels(Threads& threads, const Norm& n, const Kernel& kernel) {
  if (!valid(n)) return 1;
  share_channels(threads, n.channels, std::max<int64_t>(threads.count(), n.channels / 32),
                 [&](int64_t first, int64_t last) { kernel(n, first, last); });
  return 0;
}

}  // namespace
}  // namespace training

#define EXPORTED extern "C" __attribute__((visibility("default")))

using training::kLanes;

EXPORTED sparse::Threads* training_open(int threads) {
  return threads < 1 ? nullptr : new sparse::Threads(threads);
}

EXPORTED void training_close(sparse::Threads* threads) { delete threads; }

// Each of these: 0, or 1 and nothing done where sizes do not fit.

EXPORTED int training_convolve(sparse::Threads* threads, const training::Walk* walk) {
  const training::Walk& w = *walk;
  if (w.groups != 1 || !training::valid(w)) return 1;
  const int64_t rows = w.blocks * w.rows, wanted = training::kPartsAThread * threads->count();
  const int64_t parts = std::min(w.channels, threads->count() > 1 ? (wanted - 1) / rows + 1 : 1);
  training::share(*threads, rows * parts, [&](int64_t i) {
    const int64_t row = i / parts, part = i % parts;
    training::kernels().convolve(w, row / w.rows, row % w.rows, w.channels * part / parts,
                                 w.channels * (part + 1) / parts);
  });
  return 0;
}

EXPORTED int training_correlate(sparse::Threads* threads, const training::Walk* walk) {
  const training::Walk& w = *walk;
  if (!training::valid(w)) return 1;
  std::fill_n(w.values, w.weights, 0.0f);
  const int64_t parts = threads->count() > 1 ? 2 * threads->count() : 1;
  training::share_channels(*threads, w.channels, parts, [&](int64_t first, int64_t last) {
    training::kernels().correlate(w, first, last);
  });
  return 0;
}

EXPORTED int training_moments(sparse::Threads* threads, const training::Norm* norm) {
  return training::of_channels(*threads, *norm, training::kernels().moments);
}

EXPORTED int training_normalise(sparse::Threads* threads, const training::Norm* norm) {
  return training::of_channels(*threads, *norm, training::kernels().normalise);
}

EXPORTED int training_gradient_sums(sparse::Threads* threads, const training::Norm* norm) {
  return training::of_channels(*threads, *norm, training::kernels().gradient_sums);
}

EXPORTED int training_gradient(sparse::Threads* threads, const training::Norm* norm) {
  return training::of_channels(*threads, *norm, training::kernels().gradient);
}

EXPORTED int training_let_through(sparse::Threads* threads, const training::Norm* norm) {
  return training::of_channels(*threads, *norm, training::kernels().let_through);
}

// (images, numbers) to (blocks, numbers, 16), zeros where no image is.
EXPORTED int training_to_lanes(sparse::Threads* threads, const float* in, float* out,
                               int64_t images, int64_t numbers) {
  const int64_t blocks = (images + kLanes - 1) / kLanes;
  training::share_channels(*threads, numbers, training::kPartsAThread * threads->count(),
                           [&](int64_t first, int64_t last) {
                             for (int64_t b = 0; b < blocks; ++b)
                               for (int64_t i = first; i < last; ++i)
                                 for (int64_t l = 0; l < kLanes; ++l) {
                                   const int64_t image = b * kLanes + l;
                                   out[(b * numbers + i) * kLanes + l] =
                                       image < images ? in[image * numbers + i] : 0.0f;
                                 }
                           });
  return 0;
}

EXPORTED int training_from_lanes(sparse::Threads* threads, const float* in, float* out,
                                 int64_t images, int64_t numbers) {
  training::share_channels(*threads, numbers, training::kPartsAThread * threads->count(),
                           [&](int64_t first, int64_t last) {
                             for (int64_t image = 0; image < images; ++image)
                               for (int64_t i = first; i < last; ++i)
                                 out[image * numbers + i] =
                                     in[((image / kLanes) * numbers + i) * kLanes + image % kLanes];
                           });
  return 0;
}
