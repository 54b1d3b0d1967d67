// What Python must know of this library before it calls anything in it, checked when it is loaded
// (edgetransfer/native/loading.py names these numbers in this order).
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "../heads/step.h"
#include "../sparse/network.h"
#include "../training/training.h"

namespace {

constexpr int64_t kContract[] = {
    sparse::kPlanVersion,
    sizeof(head::Step),
    offsetof(head::Step, batch),
    offsetof(head::Step, weights),
    offsetof(head::Step, losses),
    offsetof(head::Step, weight_decay),
    head::kMostBatch,
    head::kColumns,
    sizeof(training::Walk),
    sizeof(training::Norm),
};

}  // namespace

// Writes at most `room` numbers, and says how many there are.
extern "C" __attribute__((visibility("default"))) int64_t native_contract(int64_t* numbers,
                                                                          int64_t room) {
  const int64_t count = static_cast<int64_t>(std::size(kContract));
  std::copy_n(kContract, std::min(room, count), numbers);
  return count;
}
