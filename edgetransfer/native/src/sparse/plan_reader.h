// A plan's words and numbers, each checked as it is read.
#pragma once

#include <string>

#include "network.h"

namespace sparse {

class Reader {
 public:
  Reader(const int64_t* words, int64_t count, const float* numbers, int64_t number_count)
      : words_(words), end_(words + count), numbers_(numbers), number_count_(number_count) {}

  int64_t word(int64_t low, int64_t high, const char* what) {
    if (words_ == end_) throw PlanError(std::string("the plan ends before ") + what);
    const int64_t value = *words_++;
    if (value < low || value > high)
      throw PlanError(std::string(what) + " is " + std::to_string(value));
    return value;
  }
  int number(int64_t low, int64_t high, const char* what) {
    return static_cast<int>(word(low, high, what));
  }
  // count floats, from the place that the next word names
  const float* floats(int64_t count, const char* what) {
    const int64_t at = word(0, number_count_, what);
    if (count > number_count_ - at) throw PlanError(std::string("too few numbers for ") + what);
    return numbers_ + at;
  }
  void finish() const {
    if (words_ != end_) throw PlanError("the plan goes on after its end");
  }

 private:
  const int64_t *words_, *end_;
  const float* numbers_;
  int64_t number_count_;
};

inline void require(bool holds, const char* what) {
  if (!holds) throw PlanError(what);
}

// What an operator that mixes tensors, pixels or channels says beyond what all operators say, and
// whether its tensors fit it.
void read_mixing(Reader& reader, Operator& op, const std::vector<Tensor>& tensors, int groups);

}  // namespace sparse
