#include "program.h"

#include <algorithm>
#include <optional>

namespace sparse {
namespace {

constexpr int64_t kPage = 4096;
constexpr int64_t kStepBytes = 1 << 18;
// What the rings of works that run row by row may take together: all of them go through the cache
// once a row, and what is larger than a thread's part of it would come from memory each time.
constexpr int64_t kRingBytes = 6 << 20;

}  // namespace

// Rows of some works side by side in an order in which each is computed as soon as what follows
// needs it, so that only a few rows of each tensor between them exist at a time.
class Interleaving {
 public:
  // Of works first to last (exclusive); those before them are done.
  Interleaving(const Program& program, size_t first, size_t last)
      : program_(program),
        first_(first),
        last_(last),
        done_(program.works.size(), 0),
        producer_(program.storages.size()),
        readers_(program.storages.size()),
        kept_(program.storages.size(), false),
        rings_(program.storages.size(), 0) {
    for (size_t w = first; w < last; ++w) producer_[program.works[w].out].push_back(w);
    for (size_t w = first; w < program.works.size(); ++w)
      for (int s : {program.works[w].in, program.works[w].second}) {
        if (s < 0) continue;
        if (w < last) readers_[s].push_back(w);
        else kept_[s] = true;
      }
    kept_[program.output] = true;
    run();
  }

  // What the rows between its works take, without what later works read.
  int64_t bytes() const {
    int64_t sum = 0;
    for (size_t s = 0; s < rings_.size(); ++s)
      if (!kept_[s]) sum += rings_[s] * program_.storages[s].row_bytes();
    return sum;
  }

  void adopt(Program& program) const {
    for (size_t s = 0; s < rings_.size(); ++s)
      program.storages[s].ring = std::max(program.storages[s].ring, rings_[s]);
    program.steps.insert(program.steps.end(), steps_.begin(), steps_.end());
  }

 private:
  void run() {
    // What later works read is made in proportion, so that none runs ahead of another.
    std::vector<size_t> ends;
    int most = 0;
    for (size_t w = first_; w < last_; ++w) {
      const int out = program_.works[w].out;
      if (!kept_[out] && !readers_[out].empty()) continue;
      ends.push_back(w);
      most = std::max(most, program_.storages[out].height);
    }
    for (int t = 1; t <= most; ++t)
      for (size_t w : ends) {
        const int height = program_.storages[program_.works[w].out].height;
        advance(w, (height * t + most - 1) / most);
      }
  }

  // Compute a work's output up to a row, few rows at a time, and what it needs before each.
  void advance(size_t w, int row) {
    const Work& work = program_.works[w];
    const Storage& out = program_.storages[work.out];
    const int most =
        program_.threads * static_cast<int>(std::max<int64_t>(1, kStepBytes / out.row_bytes()));
    while (done_[w] < row) {
      const int next = std::min(out.height, done_[w] + most);
      if (work.in >= 0)
        for (size_t p : producer_[work.in]) advance(p, program_.rows_needed(work, next));
      if (work.second >= 0)
        for (size_t p : producer_[work.second]) advance(p, program_.second_rows(work, next));
      steps_.push_back({static_cast<int>(w), done_[w], next});
      int oldest = kept_[work.out] ? 0 : done_[w];
      for (size_t r : readers_[work.out]) oldest = std::min(oldest, first_needed(r, work.out));
      rings_[work.out] = std::max(rings_[work.out], next - oldest);
      done_[w] = next;
    }
  }

  // The first row of a storage that a reader still needs.
  int first_needed(size_t reader, int storage) const {
    const Work& work = program_.works[reader];
    const int height = program_.storages[storage].height;
    if (done_[reader] >= program_.storages[work.out].height) return height;
    int first = height;
    if (work.in == storage) first = std::min(first, program_.first_row(work, done_[reader]));
    if (work.second == storage)  // one row may stand for all
      first = std::min(first, program_.storages[storage].height < program_.storages[work.out].height
                                  ? 0
                                  : done_[reader]);
    return first;
  }

  const Program& program_;
  const size_t first_, last_;
  std::vector<int> done_;
  std::vector<std::vector<size_t>> producer_, readers_;
  std::vector<bool> kept_;
  std::vector<int> rings_;  // rows of each storage, none where no work here writes it
  std::vector<Step> steps_;
};

Program::Program(const Network& net, Lanes16 l, int t) : network(net), lanes(l), threads(t) {
  for (const Tensor& tensor : net.tensors) place(tensor);
  Work pack{};
  pack.task = Task::pack;
  pack.out = net.input;
  works.push_back(pack);
  for (size_t i = 0; i < net.operators.size(); ++i) {
    const Operator& op = net.operators[i];
    Work work{};
    work.task = Task::compute;
    work.op = static_cast<int>(i);
    work.in = op.in;
    work.second = op.second;
    work.out = op.out;
    work.pad_top = op.pad_top;
    work.pad_left = op.pad_left;
    if (op.kind == Kind::constant) work.in = -1;
    if (tiled()) add_tiled(op, work);
    else works.push_back(work);
  }
  output = net.output;
  reach_columns();
  choose_walks();
  order();
  allocate();
  divide();
}

void Program::place(const Tensor& tensor) {
  Storage s{};
  s.channels = tensor.channels;
  s.height = tile(tensor.height, lanes.tiles_y);
  s.width = tile(tensor.width, lanes.tiles_x);
  s.pixel_bytes = tensor.pixel_bytes();
  storages.push_back(s);
}

// Room for the zeros left and right of each row; a retiled source is read by its width alone.
void Program::reach_columns() {
  for (const Work& work : works) {
    if (work.task != Task::compute) continue;
    const Operator& op = network.operators[work.op];
    if (op.kind != Kind::convolution && op.kind != Kind::depthwise) continue;
    Storage& in = storages[work.in];
    const int reach = (storages[work.out].width - 1) * op.stride_x +
                      (op.kernel_w - 1) * op.dilation_x + 1 - work.pad_left;
    in.left = std::max(in.left, work.pad_left);
    in.right = std::max(in.right, reach - in.width);
    zero_row_bytes = std::max(zero_row_bytes, in.row_bytes());
  }
  for (const Work& work : works)
    if (work.task == Task::compute && work.in >= 0)
      zero_row_bytes = std::max(zero_row_bytes, storages[work.in].row_bytes());
}

// One past the last row of work's input that its output needs up to last_row (exclusive).
int Program::rows_needed(const Work& work, int last_row) const {
  const Storage& in = storages[work.in];
  if (work.task == Task::retile) return in.height;
  const Operator& op = network.operators[work.op];
  if (op.sees_everything()) return in.height;
  if (op.kind == Kind::copy) return std::clamp(last_row - op.row_offset, 0, in.height);
  if (!op.has_window()) return std::min(last_row, in.height);  // one row may stand for all
  const int row =
      (last_row - 1) * op.stride_y - work.pad_top + (op.kernel_h - 1) * op.dilation_y + 1;
  return std::clamp(row, 0, in.height);
}

// As many rows of a work's second input as its output needs up to a row (exclusive).
int Program::second_rows(const Work& work, int last_row) const {
  return std::min(last_row, storages[work.second].height);
}

// Whether a work may run row by row with its neighbours: its weights are small, and it needs no
// more of its input than the rows around its own.
bool Program::streams(const Work& work) const {
  if (tiled()) return false;
  if (work.op < 0) return true;
  const Operator& op = network.operators[work.op];
  const bool avx2 = network.generator == Generator::avx2 && op.form == Form::generated;
  return !op.sees_everything() && op.stored_bytes() <= (avx2 ? kStreamedAvx2 : kStreamedCode);
}

// How many tensors written by works before one are read by it or a later one.
int Program::crossing(size_t work) const {
  std::vector<bool> written(storages.size(), false);
  for (size_t w = 0; w < work; ++w) written[works[w].out] = true;
  int count = 0;
  for (size_t w = work; w < works.size(); ++w)
    for (int s : {works[w].in, works[w].second}) {
      if (s < 0 || !written[s]) continue;
      written[s] = false;
      ++count;
    }
  return count;
}

// The first row of work's input that its output needs from `row` on.
int Program::first_row(const Work& work, int row) const {
  const Storage& in = storages[work.in];
  if (work.task == Task::retile) return 0;
  const Operator& op = network.operators[work.op];
  if (op.sees_everything()) return 0;
  if (op.kind == Kind::combine && in.height < storages[work.out].height) return 0;
  if (op.kind == Kind::copy) return std::clamp(row - op.row_offset, 0, in.height);
  if (!op.has_window()) return row;
  return std::clamp(row * op.stride_y - work.pad_top, 0, in.height);
}

// Groups of works run interleaved, each as long as its rings stay in the third cache and ended
// where a single tensor leads on; works that do not stream run whole.
void Program::order() {
  for (size_t first = 0; first < works.size();) {
    if (!streams(works[first])) {
      Storage& out = storages[works[first].out];
      out.ring = out.height;
      steps.push_back({static_cast<int>(first), 0, out.height});
      ++first;
      continue;
    }
    std::optional<Interleaving> group;
    size_t last = first;
    for (size_t end = first + 1; end <= works.size() && streams(works[end - 1]); ++end) {
      const bool stops = end == works.size() || !streams(works[end]);
      if (!stops && crossing(end) > 1) continue;
      const Interleaving longer(*this, first, end);
      if (group && longer.bytes() > kRingBytes) break;
      group.emplace(longer);
      last = end;
    }
    group->adopt(*this);
    first = last;
  }
}

// First fit in the arena: storages whose lives do not overlap share memory.
void Program::allocate() {
  const int count = static_cast<int>(storages.size());
  std::vector<int> born(count, -1), dies(count, -1);
  for (size_t i = 0; i < steps.size(); ++i) {
    const Work& work = works[steps[i].work];
    for (int s : {work.in, work.second, work.out}) {
      if (s < 0) continue;
      if (born[s] < 0) born[s] = static_cast<int>(i);
      dies[s] = static_cast<int>(i);
    }
  }
  dies[output] = static_cast<int>(steps.size());
  std::vector<int> placed;
  for (int s = 0; s < count; ++s) {
    if (born[s] < 0) continue;
    const int64_t bytes = (storages[s].bytes() + kPage - 1) / kPage * kPage;
    int64_t at = 0;
    for (int p : placed) {  // in ascending offsets
      if (dies[p] < born[s] || dies[s] < born[p]) continue;
      const int64_t end = storages[p].offset + (storages[p].bytes() + kPage - 1) / kPage * kPage;
      if (storages[p].offset >= at + bytes) break;
      at = std::max(at, end);
    }
    storages[s].offset = at;
    arena_bytes = std::max(arena_bytes, at + bytes);
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), s,
                         [&](int a, int b) { return storages[a].offset < storages[b].offset; }),
        s);
  }
}

}  // namespace sparse
