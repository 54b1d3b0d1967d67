// One SGD step of a linear head, done by one thread or by two.
#pragma once

#include <atomic>
#include <cstdint>

namespace head {

constexpr int64_t kMostBatch = 256;
constexpr int64_t kColumns = 16;  // matrices have a multiple of so many

// All matrices are by rows. Columns are a multiple of kColumns, of which the first `classes` are
// real.
struct Step {
  const float* features;  // (batch, rows)
  const int64_t* labels;
  const float* importance;  // of each sample, or null
  int64_t batch, rows, columns, classes;
  float* weights;  // (rows, columns)
  float* velocity;
  float* bias;  // (classes)
  float* bias_velocity;
  float* logits;  // (2, batch, columns): of the upper rows of weights and of the lower ones
  float* losses;  // (batch)
  float learning_rate, momentum, weight_decay;
};

// Where the threads of a step wait for each other.
struct Meeting {
  std::atomic<int> arrived{0};
};

struct Kernels {
  void (*forward)(const Step&, int64_t first, int64_t last, float* logits);  // rows of weights
  void (*backward)(const Step&, int64_t first, int64_t last);
  void (*exponentials)(float* values, int64_t count, float top);  // of each, less the top
};

const Kernels& kernels_avx512();
const Kernels& kernels_avx2();
const Kernels& kernels_portable();

}  // namespace head
