// How the steps of a program are walked: pixels and rows at a time, and shares of several threads.
#include <algorithm>

#include "program.h"
#include "threads.h"

namespace sparse {
namespace {

// A layer with more code than this is shared among threads by output channels, not by rows.
constexpr int64_t kSharedCode = 256 << 10;
// Of AVX2 code: what inputs may take of the first and of the second cache, and pixels at most.
constexpr int64_t kFirstCache = 20 << 10, kSecondCache = 256 << 10;
constexpr int kWindowStrip = 8, kSharedPixels = 16;
// Rows that a few channels of a depthwise layer run before the next ones.
constexpr int kDepthwiseRows = 8;

}  // namespace

bool Program::shares_channels(const Step& step) const {
  const Work& work = works[step.work];
  if (work.task != Task::compute) return false;
  const Operator& op = network.operators[work.op];
  if (op.kind == Kind::global_average || op.over_pixels) return true;
  const bool few_rows = step.last_row - step.first_row < threads;
  if (op.kind == Kind::product || op.kind == Kind::softmax) return few_rows;
  return op.kind == Kind::convolution && (few_rows || op.code_bytes > kSharedCode);
}

// Two parts a thread where each is large enough, so that a thread that is held up leaves one.
void Program::divide() {
  for (const Step& step : steps) {
    const Work& work = works[step.work];
    int most = step.last_row - step.first_row;
    if (shares_channels(step)) {
      const Operator& op = network.operators[work.op];
      most = op.kind == Kind::convolution      ? op.blocks_of(work.form)
             : op.kind == Kind::global_average ? storages[work.out].channels
                                               : op.groups;
    }
    const int wanted = most >= 4 * threads ? 2 * threads : threads;
    parts.push_back(static_cast<uint8_t>(std::clamp(std::min(wanted, most), 1, Relay::kMostParts)));
  }
}

void Program::choose_walks() {
  for (Work& work : works) {
    if (work.task != Task::compute) continue;
    const Operator& op = network.operators[work.op];
    const int width = storages[work.out].width;
    const bool few = storages[work.out].height * width < kFewPixels && !op.rows.taps.empty();
    work.form = few && op.form == Form::generated ? Form::sparse_rows : op.form;
    if (work.form == Form::depthwise) {
      work.strip = width;
      work.rows = op.runs_by_block(work.form) ? kDepthwiseRows : 1;
    } else if (work.form != Form::generated) {
      work.strip = width;
    } else if (network.generator == Generator::avx2) {
      // As many pixels as leave room in the first cache where channels share no inputs, and where
      // they do so many that code is fetched seldom.
      const int64_t pixel = storages[work.in].channels * kVectorBytes;
      const bool shares = op.shares_inputs();
      int64_t pixels = kWindowStrip;
      if (op.kernel_w == 1)
        pixels = shares ? std::clamp<int64_t>(kSecondCache / pixel, kWindowStrip, kSharedPixels)
                        : std::clamp<int64_t>(kFirstCache / pixel, 1, kWindowStrip);
      work.strip = std::min(width, static_cast<int>(pixels));
      if (shares) work.rows = std::max(1, static_cast<int>(pixels) / width);
    } else if (op.code_bytes <= 48 << 10) {
      work.strip = std::min(width, 2);
    } else if (op.code_bytes <= kStreamedCode) {
      work.strip = std::min(width, 7);
    } else {
      work.strip = width;
      work.rows = std::max(1, 28 / width);
    }
  }
}

}  // namespace sparse
