#include "generate.h"

#include <algorithm>
#include <cstddef>

#include "assembler_x64.h"

namespace sparse {
namespace {

using namespace x64;

constexpr Register kStrip = rdi, kWeights = rsi, kOut = rdx, kPixels = rcx, kAdded = r8;
constexpr Register kInStep = r12, kOutStep = rax;
constexpr Register kInputCursor = r14, kWeightCursor = rbp;
constexpr Register kWindow[kMostKernelRows] = {r9, r10, r11, rbx, r13, r15, rdi};
constexpr int kFreeVectors[2] = {30, 31};

// Reads that move ahead through memory with one-byte displacements, the cursor following.
class Cursor {
 public:
  Cursor(Assembler& to, Register cursor, int32_t unit) : to_(to), cursor_(cursor), unit_(unit) {}

  void start(Register base) { base_ = base; at_ = 0; moved_ = false; }
  Register reach(int32_t offset, int32_t& displacement) {
    const int64_t steps = (static_cast<int64_t>(offset) - at_) / unit_;
    if (steps >= -128 && steps <= 127) {
      displacement = offset - at_;
      return moved_ ? cursor_ : base_;
    }
    at_ = offset + 128 * unit_;
    to_.lea(cursor_, base_, at_);
    moved_ = true;
    displacement = offset - at_;
    return cursor_;
  }

 private:
  Assembler& to_;
  Register cursor_, base_ = rax;
  int32_t unit_, at_ = 0;
  bool moved_ = false;
};

struct Entry {
  Tap tap;
  int channel;
  float value;
};

// The weights of a block, by tap and then by channel: a merge of rows that are each in order.
std::vector<Entry> in_order(const SparseRows& rows, int first, int last) {
  constexpr int64_t kEnd = INT64_MAX;
  const auto key = [&](int i) {
    return (static_cast<int64_t>(rows.taps[i].kernel_row) << 32) + rows.taps[i].offset;
  };
  const int count = last - first;
  int at[kMostBlockChannels];
  int64_t keys[kMostBlockChannels];
  for (int c = 0; c < count; ++c) {
    at[c] = rows.starts[first + c];
    keys[c] = at[c] < rows.starts[first + c + 1] ? key(at[c]) : kEnd;
  }
  std::vector<Entry> entries;
  entries.reserve(rows.starts[last] - rows.starts[first]);
  for (;;) {
    const int64_t next = *std::min_element(keys, keys + count);
    if (next == kEnd) return entries;
    for (int c = 0; c < count; ++c) {
      if (keys[c] != next) continue;
      entries.push_back({rows.taps[at[c]], c, rows.values[at[c]]});
      ++at[c];
      keys[c] = at[c] < rows.starts[first + c + 1] ? key(at[c]) : kEnd;
    }
  }
}

void finish(Assembler& to, const Epilogue& epilogue, int first, int count, int32_t constants) {
  const auto [a, b] = std::pair(kFreeVectors[0], kFreeVectors[1]);
  if (epilogue.adds)
    for (int i = 0; i < count; ++i) to.add_vector(i, i, kAdded, (first + i) * kVectorBytes);
  // An operand that is not a number comes second, so that it survives.
  switch (epilogue.activation) {
    case Activation::none: break;
    case Activation::relu:
      to.clear(a);
      for (int i = 0; i < count; ++i) to.maximum(i, a, i);
      break;
    case Activation::clip:
      to.broadcast(a, kWeights, constants);
      to.broadcast(b, kWeights, constants + 4);
      for (int i = 0; i < count; ++i) {
        to.maximum(i, a, i);
        to.minimum(i, b, i);
      }
      break;
    case Activation::leaky:  // slopes of 0 to 1 alone
      to.broadcast(a, kWeights, constants);
      for (int i = 0; i < count; ++i) {
        to.multiply(b, a, i);
        to.maximum(i, b, i);
      }
      break;
    case Activation::hard_swish: break;  // never fused
  }
  for (int i = 0; i < count; ++i) to.store_vector(i, kOut, (first + i) * kVectorBytes);
}

}  // namespace

void generate_block(const SparseRows& rows, int first, int last, const Epilogue& epilogue,
                    std::vector<uint8_t>& code, std::vector<float>& weights) {
  const int count = last - first;
  const auto entries = in_order(rows, first, last);
  // A weight takes at most a load and a multiply-add, each after a move of its cursor.
  const size_t begin = code.size();
  code.resize(begin + (4 * entries.size() + 12 * static_cast<size_t>(count) + 64) *
                          kLongestInstruction);
  Assembler to(code.data() + begin);
  const size_t start = weights.size();
  weights.push_back(epilogue.low);
  weights.push_back(epilogue.high);
  for (int o = first; o < last; ++o) weights.push_back(rows.bias[o]);
  const int kernel_rows = entries.empty() ? 0 : entries.back().tap.kernel_row + 1;

  to.branch_target();
  for (Register r : {rbx, rbp, r12, r13, r14, r15}) to.push(r);
  to.load(kOut, kStrip, offsetof(Strip, out));
  to.load(kAdded, kStrip, offsetof(Strip, added));
  to.load(kPixels, kStrip, offsetof(Strip, pixels));
  to.load(kInStep, kStrip, offsetof(Strip, in_step));
  to.load(kOutStep, kStrip, offsetof(Strip, out_step));
  to.load(kStrip, kStrip, offsetof(Strip, rows));
  for (int r = 0; r < kernel_rows; ++r) to.load(kWindow[r], kStrip, 8 * r);

  const size_t loop = to.here();
  Cursor input(to, kInputCursor, kVectorBytes), weight(to, kWeightCursor, sizeof(float));
  weight.start(kWeights);
  const auto next_weight = [&](size_t index, int32_t& displacement) {
    return weight.reach(static_cast<int32_t>((index - start) * sizeof(float)), displacement);
  };
  if (epilogue.adds)
    for (int i = 0; i < count; ++i) to.prefetch(kAdded, (first + i) * kVectorBytes);
  int32_t displacement = 0;
  for (int i = 0; i < count; ++i) {
    const Register base = next_weight(start + 2 + i, displacement);
    to.broadcast(i, base, displacement);
  }
  int row = -1, loads = 0;
  int64_t loaded = -1;
  for (const Entry& entry : entries) {
    if (entry.tap.kernel_row != row) {
      row = entry.tap.kernel_row;
      input.start(kWindow[row]);
      loaded = -1;
    }
    if (entry.tap.offset != loaded) {
      loaded = entry.tap.offset;
      const Register base = input.reach(entry.tap.offset, displacement);
      to.load_vector(kFreeVectors[++loads & 1], base, displacement);
    }
    const Register base = next_weight(weights.size(), displacement);
    weights.push_back(entry.value);
    to.multiply_add(entry.channel, kFreeVectors[loads & 1], base, displacement);
  }
  finish(to, epilogue, first, count, 0);
  for (int r = 0; r < kernel_rows; ++r) to.add(kWindow[r], kInStep);
  to.add(kOut, kOutStep);
  if (epilogue.adds) to.add(kAdded, kOutStep);
  to.decrement(kPixels);
  to.jump_if_not_zero(loop);
  for (Register r : {r15, r14, r13, r12, rbp, rbx}) to.pop(r);
  to.ret();
  code.resize(begin + to.here());
}

}  // namespace sparse
