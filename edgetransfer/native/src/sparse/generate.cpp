#include "generate.h"

#include <algorithm>
#include <cassert>
#include <cstddef>

#include "avx2_x64.h"
#include "avx512_x64.h"

namespace sparse {
namespace {

using namespace x64;

constexpr Register kStrip = rdi, kWeights = rsi, kOut = rdx, kPixels = rcx, kAdded = r8;
constexpr Register kInStep = r12, kOutStep = rax;
constexpr Register kInputCursor = r14, kWeightCursor = rbp;
constexpr Register kWindow[kMostKernelRows] = {r9, r10, r11, rbx, r13, r15, rdi};
// Windows beyond these lie in registers that the caller keeps.
constexpr int kFreeWindows = 3;
// Around a kernel's channels and weights: saved registers, arguments, the loop.
constexpr size_t kFrameBytes = 512;

// Reads that move ahead through memory with one-byte displacements, in units that the instruction
// set gives, the cursor following; without units the base itself reaches everything.
class Cursor {
 public:
  Cursor(Assembler& to, Register cursor, int32_t unit) : to_(to), cursor_(cursor), unit_(unit) {}

  void start(Register base) {
    base_ = base;
    at_ = 0;
    moved_ = false;
  }
  Register reach(int32_t offset, int32_t& displacement) {
    if (!unit_) {
      displacement = offset;
      return base_;
    }
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
  int at[Avx512::kChannels];
  int64_t keys[Avx512::kChannels];
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

// What becomes of the sums: the other tensor and the activation, then they are stored.
template <typename Vectors>
void finish(Vectors& to, const Epilogue& epilogue, int first, int count, int32_t constants) {
  const int a = Vectors::kFree[0], b = Vectors::kFree[1], sums = count * Vectors::kParts;
  constexpr int32_t kPartBytes = kVectorBytes / Vectors::kParts;
  const int32_t start = static_cast<int32_t>(first * kVectorBytes);
  if (epilogue.adds)
    for (int i = 0; i < sums; ++i) to.add_vector(i, i, kAdded, start + i * kPartBytes);
  // An operand that is not a number comes second, so that it survives.
  switch (epilogue.activation) {
    case Activation::relu:
      to.clear(a);
      for (int i = 0; i < sums; ++i) to.maximum(i, a, i);
      break;
    case Activation::clip:
      to.broadcast(a, kWeights, constants);
      to.broadcast(b, kWeights, constants + 4);
      for (int i = 0; i < sums; ++i) {
        to.maximum(i, a, i);
        to.minimum(i, b, i);
      }
      break;
    case Activation::leaky:  // slopes of 0 to 1 alone
      to.broadcast(a, kWeights, constants);
      for (int i = 0; i < sums; ++i) {
        to.multiply(b, a, i);
        to.maximum(i, b, i);
      }
      break;
    default: break;  // none, or one that comes late
  }
  for (int i = 0; i < sums; ++i) to.store_vector(i, kOut, start + i * kPartBytes);
}

template <typename Vectors>
void generate(const SparseRows& rows, int first, int last, const Epilogue& epilogue,
              std::vector<uint8_t>& code, std::vector<float>& weights) {
  const int count = last - first;
  const auto entries = in_order(rows, first, last);
  const size_t begin = code.size();
  const size_t room =
      kFrameBytes + (entries.size() + 4 * static_cast<size_t>(count)) * Vectors::kMostBytes;
  code.resize(begin + room);
  Vectors to(code.data() + begin, room);
  const size_t start = weights.size();
  weights.push_back(epilogue.low);
  weights.push_back(epilogue.high);
  for (int o = first; o < last; ++o) weights.push_back(rows.bias[o]);
  const int kernel_rows = entries.empty() ? 0 : entries.back().tap.kernel_row + 1;

  std::vector<Register> saved = {kWeightCursor, kInStep};
  if (Vectors::kInputUnit) saved.push_back(kInputCursor);
  for (int r = kFreeWindows; r < kernel_rows; ++r)
    if (kWindow[r] != kStrip) saved.push_back(kWindow[r]);
  to.branch_target();
  for (Register r : saved) to.push(r);
  to.load(kOut, kStrip, offsetof(Strip, out));
  to.load(kAdded, kStrip, offsetof(Strip, added));
  to.load(kPixels, kStrip, offsetof(Strip, pixels));
  to.load(kInStep, kStrip, offsetof(Strip, in_step));
  to.load(kOutStep, kStrip, offsetof(Strip, out_step));
  to.load(kStrip, kStrip, offsetof(Strip, rows));
  for (int r = 0; r < kernel_rows; ++r) to.load(kWindow[r], kStrip, 8 * r);

  const size_t loop = to.here();
  Cursor input(to, kInputCursor, Vectors::kInputUnit),
      weight(to, kWeightCursor, Vectors::kWeightUnit);
  weight.start(kWeights);
  const auto next_weight = [&](size_t index, int32_t& displacement) {
    return weight.reach(static_cast<int32_t>((index - start) * sizeof(float)), displacement);
  };
  if (epilogue.adds)
    for (int i = 0; i < count; ++i) to.prefetch(kAdded, (first + i) * kVectorBytes);
  int32_t at = 0, from = 0;
  for (int i = 0; i < count; ++i) {
    const Register base = next_weight(start + 2 + i, at);
    for (int part = 0; part < Vectors::kParts; ++part)
      to.broadcast(i * Vectors::kParts + part, base, at);
  }
  int row = -1;
  for (size_t i = 0; i < entries.size();) {
    const Tap tap = entries[i].tap;
    size_t end = i + 1;  // of those that share the tap
    while (end < entries.size() && entries[end].tap.kernel_row == tap.kernel_row &&
           entries[end].tap.offset == tap.offset)
      ++end;
    if (tap.kernel_row != row) input.start(kWindow[row = tap.kernel_row]);
    const Register window = input.reach(tap.offset, from);
    const bool once = end == i + 1;
    if (!once) to.read(window, from);
    for (; i < end; ++i) {
      const Register base = next_weight(weights.size(), at);
      weights.push_back(entries[i].value);
      if (once) to.accumulate_once(entries[i].channel, base, at, window, from);
      else to.accumulate(entries[i].channel, base, at);
    }
  }
  finish(to, epilogue, first, count, 0);
  for (int r = 0; r < kernel_rows; ++r) to.add(kWindow[r], kInStep);
  to.add(kOut, kOutStep);
  if (epilogue.adds) to.add(kAdded, kOutStep);
  to.decrement(kPixels);
  to.jump_if_not_zero(loop);
  to.leave();
  for (auto r = saved.rbegin(); r != saved.rend(); ++r) to.pop(*r);
  to.ret();
  assert(to.fitted());
  code.resize(begin + to.here());
}

}  // namespace

int block_channels(Generator generator) {
  return generator == Generator::avx512 ? Avx512::kChannels : Avx2::kChannels;
}

void generate_block(Generator generator, const SparseRows& rows, int first, int last,
                    const Epilogue& epilogue, std::vector<uint8_t>& code,
                    std::vector<float>& weights) {
  if (generator == Generator::avx512) generate<Avx512>(rows, first, last, epilogue, code, weights);
  else generate<Avx2>(rows, first, last, epilogue, code, weights);
}

}  // namespace sparse
