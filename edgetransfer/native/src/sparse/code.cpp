// Generated code: for which layers, and the memory that it lies in.
#include <cstring>

#include "../common/processor.h"
#include "network.h"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#endif

namespace sparse {

namespace {

// In AVX2 a weight takes 25 bytes of code beside its own four, and six channels share an input.
// Where two or more of them need it, code gains everywhere; where fewer do, in a window that stays
// near the first cache, and a layer whose code stays in the second. Others are as fast or faster in
// the rows form (see README.md).
constexpr double kShared = 0.3, kSharedPoints = 0.2;
constexpr int64_t kWindowBytes = 48 << 10;
constexpr int64_t kPointWeights = 8'000;

bool pays(Generator generator, const Operator& op, const Tensor& in) {
  if (op.kind != Kind::convolution || op.form == Form::dense || op.kernel_h > kMostKernelRows)
    return false;
  if (generator == Generator::avx512 || op.shares_inputs()) return true;
  const int area = op.kernel_h * op.kernel_w;
  if (area == 1) return op.weights <= kPointWeights;
  return area * in.channels * kVectorBytes <= kWindowBytes;
}

}  // namespace

bool Operator::shares_inputs() const {
  const bool alone = kernel_h * kernel_w * stride_y * stride_x == 1 && !epilogue.adds;
  return density >= (alone ? kSharedPoints : kShared);
}

// Code for every convolution that it is worth it for, if the system allows it.
void Network::generate() {
  std::vector<uint8_t> made;
  const int most = block_channels(generator);
  for (Operator& op : operators) {
    if (!pays(generator, op, tensors[op.in])) continue;
    const int channels = op.rows.channels();
    const int count = (channels + most - 1) / most;
    const size_t start = made.size();
    for (int b = 0; b < count; ++b) {
      const int first = channels * b / count, last = channels * (b + 1) / count;
      op.blocks.push_back({made.size(), weights.size(), first, last});
      generate_block(generator, op.rows, first, last, op.epilogue, made, weights);
      made.resize((made.size() + 63) / 64 * 64, 0xCC);
      weights.resize((weights.size() + 15) / 16 * 16);
    }
    op.code_bytes = static_cast<int64_t>(made.size() - start) + 4 * op.weights;
    op.form = Form::generated;
  }
  const bool sealed = made.empty() || code.seal(made);
  for (Operator& op : operators) {
    if (op.form != Form::generated) continue;
    const Tensor& out = tensors[op.out];
    const bool may_have_few = generator == Generator::avx2 && op.code_bytes > kStreamedAvx2 &&
                              out.height * out.width < kFewPixels * kLanes;
    if (!sealed) {
      op.form = Form::sparse_rows;
    } else if (!may_have_few) {
      std::vector<Tap>().swap(op.rows.taps);
      std::vector<float>().swap(op.rows.values);
    }
  }
}

CodeMemory::~CodeMemory() {
#if defined(__unix__) || defined(__APPLE__)
  if (base_) munmap(base_, bytes_);
#endif
}

bool CodeMemory::seal(const std::vector<uint8_t>& code) {
#if defined(__unix__) || defined(__APPLE__)
  bytes_ = (code.size() + (2 << 20) - 1) / (2 << 20) * (2 << 20);
  void* got = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (got == MAP_FAILED) return false;
  base_ = static_cast<char*>(got);
#ifdef MADV_HUGEPAGE
  madvise(base_, bytes_, MADV_HUGEPAGE);
#endif
  std::memcpy(base_, code.data(), code.size());
  return mprotect(base_, bytes_, PROT_READ | PROT_EXEC) == 0;
#else
  (void)code;
  return false;
#endif
}

const Kernels& choose_kernels(Generator& generator) {
  const native::Processor processor = native::choose_processor();
  generator = Generator::none;
#if defined(__x86_64__)
  if (processor.kernels == native::Kernels::avx512) {
    if (processor.generates) generator = Generator::avx512;
    return kernels_avx512();
  }
  if (processor.kernels == native::Kernels::avx2) {
    if (processor.generates) generator = Generator::avx2;
    return kernels_avx2();
  }
#endif
  (void)processor;
  return kernels_portable();
}

}  // namespace sparse
