#include "execute.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace sparse {
namespace {

constexpr int64_t kLargePage = 2 << 20;
// Channels of a global mean that are added up at a time.
constexpr int kMostSums = 128;

struct Range {
  int first, last;
};

Range share(int first, int last, int part, int parts) {
  const int64_t count = last - first;
  return {static_cast<int>(first + count * part / parts),
          static_cast<int>(first + count * (part + 1) / parts)};
}

void run_form(const Network& network, const Operator& op, Form form, int first, int last,
              const Strip& strip) {
  switch (form) {
    case Form::generated:
      for (int b = first; b < last; ++b) {
        const GeneratedBlock& block = op.blocks[b];
        reinterpret_cast<GeneratedKernel>(reinterpret_cast<uintptr_t>(network.code.at(block.code)))(
            &strip, network.weights.data() + block.weights);
        if (!is_late(op.epilogue.activation)) continue;
        for (int64_t p = 0; p < strip.pixels; ++p)
          network.kernels->activate(strip.out + p * strip.out_step + block.first * kVectorBytes,
                                    kVectorBytes, block.last - block.first, op.epilogue);
      }
      break;
    case Form::sparse_rows:
      network.kernels->sparse_strip(op.rows, first, last, op.epilogue, strip);
      break;
    case Form::dense:
      network.kernels->dense_strip(op.dense, first, last, op.epilogue, strip);
      break;
    case Form::depthwise:
      network.kernels->depthwise_strip(op.depthwise, first, last, op.epilogue, strip);
      break;
  }
}

}  // namespace

Arena::Arena(int64_t bytes) : bytes_(bytes) {
  const size_t size = static_cast<size_t>((bytes + kLargePage) / kLargePage * kLargePage);
  whole_ = std::aligned_alloc(kLargePage, size);
  if (!whole_) throw std::bad_alloc();
#if defined(__linux__)
  madvise(whole_, size, MADV_HUGEPAGE);
#endif
  std::memset(whole_, 0, size);
  data_ = static_cast<char*>(whole_);
}

Arena::~Arena() { std::free(whole_); }

void Run::clear_edges(const Storage& s, int y) const {
  char* row = s.row(arena_, y);
  if (s.left) std::memset(row - s.left * s.pixel_bytes, 0, s.left * s.pixel_bytes);
  if (s.right) std::memset(row + s.width * s.pixel_bytes, 0, s.right * s.pixel_bytes);
}

float* Run::lane(const Storage& s, int image, int channel, int y, int x) const {
  const Lanes16& l = program_.lanes;
  const int lane = (image * l.tiles_y + y / s.height) * l.tiles_x + x / s.width;
  return reinterpret_cast<float*>(s.row(arena_, y % s.height) + (x % s.width) * s.pixel_bytes +
                                  channel * kVectorBytes) +
         lane;
}

void Run::pack(const Work& work, int y0, int y1) const {
  const Storage& out = program_.storages[work.out];
  const Tensor& whole = program_.network.tensors[program_.network.input];
  const Lanes16& l = program_.lanes;
  const int64_t plane = static_cast<int64_t>(whole.height) * whole.width;
  for (int y = y0; y < y1; ++y)
    for (int c = 0; c < out.channels; ++c)
      for (int x0 = 0; x0 < out.width;) {
        // Tiles at the right edge may be narrower: as far as the lanes agree.
        const float* from[kLanes];
        int end = out.width;
        for (int i = 0; i < kLanes; ++i) {
          const int tile_x = i % l.tiles_x, tile_y = i / l.tiles_x % l.tiles_y;
          const int64_t image = first_ + i / (l.tiles_x * l.tiles_y);
          const int row = tile_y * out.height + y, column = tile_x * out.width + x0;
          const bool inside = image < batch_.count && row < whole.height && column < whole.width;
          from[i] = inside ? batch_.images + (image * out.channels + c) * plane +
                                 static_cast<int64_t>(row) * whole.width + column
                           : nullptr;
          if (inside) end = std::min(end, x0 + whole.width - column);
        }
        program_.network.kernels->gather(
            from, 0, end - x0, 1, out.pixel_bytes,
            out.row(arena_, y) + x0 * out.pixel_bytes + c * kVectorBytes);
        x0 = end;
      }
}

void Run::retile(const Work& work, int y0, int y1) const {
  const Storage &in = program_.storages[work.in], &out = program_.storages[work.out];
  const Retiling& retiling = program_.retilings[work.retiling];
  // Offsets count from the first pixel, without the zeros beside the rows of a storage.
  const int64_t in_row = in.width * in.pixel_bytes;
  const auto place = [&](int64_t at) {
    return in.row(arena_, static_cast<int>(at / in_row)) + at % in_row;
  };
  for (int y = y0; y < y1; ++y)
    for (int x = 0; x < out.width; ++x) {
      const int64_t* offsets =
          retiling.from.data() + (static_cast<int64_t>(y) * out.width + x) * kLanes;
      char* to = out.row(arena_, y) + x * out.pixel_bytes + work.channel * kVectorBytes;
      // Mostly all lanes come from one pixel, in another order.
      int64_t pixel = -1;
      int32_t order[kLanes];
      bool one = true, straight = true;
      if (std::find(offsets, offsets + kLanes, kKept) != offsets + kLanes) {
        for (int l = 0; l < kLanes; ++l) {
          if (offsets[l] == kKept) continue;
          const float* from = reinterpret_cast<const float*>(place(offsets[l]));
          for (int c = 0; c < in.channels; ++c)
            reinterpret_cast<float*>(to)[c * kLanes + l] = from[c * kLanes];
        }
        continue;
      }
      for (int l = 0; l < kLanes; ++l) {
        const int64_t at = offsets[l];
        order[l] = at < 0 ? -1 : static_cast<int32_t>(at % kVectorBytes / sizeof(float));
        straight = straight && order[l] == l;
        if (at < 0) continue;
        const int64_t start = at - at % kVectorBytes;
        one = one && (pixel < 0 || pixel == start);
        pixel = start;
      }
      if (one && pixel >= 0 && straight) {
        std::memcpy(to, place(pixel), in.channels * kVectorBytes);
      } else if (one && pixel >= 0) {
        program_.network.kernels->permute(place(pixel), order, retiling.fill, in.channels, to);
      } else {
        const float* from[kLanes];
        for (int l = 0; l < kLanes; ++l)
          from[l] = offsets[l] < 0 ? nullptr : reinterpret_cast<const float*>(place(offsets[l]));
        program_.network.kernels->gather(from, retiling.fill, in.channels, kLanes, kVectorBytes,
                                         to);
      }
    }
}

void Run::convolve(const Work& work, const Operator& op, int y0, int y1, int b0, int b1) const {
  const Storage &in = program_.storages[work.in], &out = program_.storages[work.out];
  const Storage* second = work.second < 0 ? nullptr : &program_.storages[work.second];
  const char* rows[64];
  Strip strip{rows, nullptr, nullptr, 0, op.stride_x * in.pixel_bytes, out.pixel_bytes};
  const bool by_block = op.runs_by_block(work.form);
  const auto aim = [&](int r, int x) {
    const int64_t column = (static_cast<int64_t>(x) * op.stride_x - work.pad_left) * in.pixel_bytes;
    for (int k = 0; k < op.kernel_h; ++k) {
      const int row = r * op.stride_y - work.pad_top + k * op.dilation_y;
      const bool inside = row >= 0 && row < in.height;
      rows[k] = (inside ? in.row(arena_, row) : zeros_ + in.left * in.pixel_bytes) + column;
    }
    strip.out = out.row(arena_, r) + x * out.pixel_bytes;
    strip.added = second ? second->row(arena_, r) + x * out.pixel_bytes : strip.out;
    strip.pixels = std::min(work.strip, out.width - x);
  };
  for (int y = y0; y < y1; y += work.rows) {
    const int end = std::min(y1, y + work.rows);
    for (int x = 0; x < out.width; x += work.strip) {
      if (end - y == 1) {
        aim(y, x);
        run_form(program_.network, op, work.form, b0, b1, strip);
        continue;
      }
      for (int b = b0; b < b1; b = by_block ? b + 1 : b1)
        for (int r = y; r < end; ++r) {
          aim(r, x);
          run_form(program_.network, op, work.form, b, by_block ? b + 1 : b1, strip);
        }
    }
  }
}

void Run::pool(const Work& work, const Operator& op, int y) const {
  const Storage &in = program_.storages[work.in], &out = program_.storages[work.out];
  const int top = y * op.stride_y - work.pad_top;
  const int first = std::max(0, -top), last = std::min(op.kernel_h, in.height - top);
  for (int x = 0; x < out.width; ++x) {
    const int left = x * op.stride_x - work.pad_left;
    const int from = std::max(0, -left), to = std::min(op.kernel_w, in.width - left);
    const char* rows[64];
    for (int k = first; k < last; ++k)
      rows[k - first] = in.row(arena_, top + k) + (left + from) * in.pixel_bytes;
    const PoolWindow window{rows, std::max(0, last - first), std::max(0, to - from), in.pixel_bytes,
                            in.channels};
    char* place = out.row(arena_, y) + x * out.pixel_bytes;
    if (op.kind == Kind::max_pool) {
      program_.network.kernels->max_pool(window, op.epilogue, place);
    } else {
      const int area = op.counts_padding ? op.kernel_h * op.kernel_w
                                         : std::max(1, window.row_count * window.column_count);
      program_.network.kernels->average_pool(window, 1.0f / static_cast<float>(area), op.epilogue,
                                             place);
    }
  }
}

// Adds each image's pixels row by row, however they lie in tiles, so that the bits are the same.
void Run::global_average(const Work& work, const Operator& op, int c0, int c1) const {
  const Storage &in = program_.storages[work.in], &out = program_.storages[work.out];
  const Tensor& whole = program_.network.tensors[op.in];
  const Lanes16& l = program_.lanes;
  const int tiles = l.tiles_y * l.tiles_x;
  const float scale = 1.0f / static_cast<float>(whole.height * whole.width);
  if (c1 - c0 > kMostSums) {
    global_average(work, op, c0, c0 + kMostSums);
    return global_average(work, op, c0 + kMostSums, c1);
  }
  float sums[kMostSums * kLanes];
  const int count = (c1 - c0) * kLanes;
  for (int image = 0; image < (tiles == 1 ? 1 : l.images); ++image) {
    std::fill(sums, sums + count, 0.0f);
    for (int y = 0; y < whole.height; ++y)
      for (int x = 0; x < whole.width; ++x) {
        const float* pixel = lane(in, image, c0, y, x);
        if (tiles == 1)
          for (int i = 0; i < count; ++i) sums[i] += pixel[i];
        else
          for (int c = 0; c < c1 - c0; ++c) sums[c] += pixel[c * kLanes];
      }
    for (int c = 0; c < c1 - c0; ++c) {
      float* to = reinterpret_cast<float*>(out.row(arena_, 0) + (c0 + c) * kVectorBytes);
      if (tiles == 1)
        for (int i = 0; i < kLanes; ++i) to[i] = sums[c * kLanes + i] * scale;
      else
        for (int i = 0; i < tiles; ++i) to[image * tiles + i] = sums[c] * scale;
    }
  }
}

void Run::copy(const Work& work, const Operator& op, int y) const {
  const Storage &in = program_.storages[work.in], &out = program_.storages[work.out];
  const bool shifted = work.in != op.in;  // a tiled source is already where it belongs
  const int from = shifted ? y : y - op.row_offset, column = shifted ? 0 : op.column_offset;
  char* to = out.row(arena_, y);
  const bool fills = !op.leaves_rest() && (in.width != out.width || in.height != out.height);
  constexpr const float* kNothing[kLanes] = {};
  if (fills)
    program_.network.kernels->gather(kNothing, op.fill, out.width * out.pixel_bytes / kVectorBytes,
                                     0, kVectorBytes, to);
  if (from < 0 || from >= in.height) return;
  for (int x = 0; x < in.width; ++x)
    std::memcpy(to + (x + column) * out.pixel_bytes + op.channel_offset * kVectorBytes,
                in.row(arena_, from) + x * in.pixel_bytes, in.channels * kVectorBytes);
}

void Run::step(const Step& step, int part, int parts) const {
  const Work& work = program_.works[step.work];
  const Storage& out = program_.storages[work.out];
  Range rows = share(step.first_row, step.last_row, part, parts);
  if (work.task == Task::pack) {
    pack(work, rows.first, rows.last);
  } else if (work.task == Task::retile) {
    retile(work, rows.first, rows.last);
  } else {
    const Operator& op = program_.network.operators[work.op];
    switch (op.kind) {
      case Kind::convolution:
      case Kind::depthwise: {
        Range blocks{0, op.blocks_of(work.form)};
        if (parts > 1 && program_.shares_channels(step)) {
          blocks = share(0, blocks.last, part, parts);
          rows = part == 0 ? Range{step.first_row, step.last_row} : Range{0, 0};
          convolve(work, op, step.first_row, step.last_row, blocks.first, blocks.last);
        } else {
          convolve(work, op, rows.first, rows.last, blocks.first, blocks.last);
        }
        break;
      }
      case Kind::max_pool:
      case Kind::average_pool:
        for (int y = rows.first; y < rows.last; ++y) pool(work, op, y);
        break;
      case Kind::global_average: {
        const Range channels = share(0, out.channels, part, parts);
        global_average(work, op, channels.first, channels.last);
        break;
      }
      case Kind::add:
        for (int y = rows.first; y < rows.last; ++y)
          program_.network.kernels->add(
              program_.storages[work.in].row(arena_, y),
              work.second < 0 ? nullptr : program_.storages[work.second].row(arena_, y),
              out.width * out.pixel_bytes / kVectorBytes, op.epilogue, out.row(arena_, y));
        break;
      case Kind::copy:
        for (int y = rows.first; y < rows.last; ++y) copy(work, op, y);
        break;
      default: {
        const bool shares_groups = parts > 1 && program_.shares_channels(step);
        const Range groups = shares_groups ? share(0, op.groups, part, parts) : Range{0, op.groups};
        const Range all = shares_groups ? Range{step.first_row, step.last_row} : rows;
        if (op.over_pixels) normalise_plane(work, op, groups.first, groups.last);
        else
          for (int y = all.first; y < all.last; ++y) mix(work, op, y, groups.first, groups.last);
      }
    }
  }
  for (int y = rows.first; y < rows.last; ++y) clear_edges(out, y);
}

void Run::unpack() const {
  const Storage& out = program_.storages[program_.output];
  const Tensor& whole = program_.network.tensors[program_.network.output];
  const int64_t area = static_cast<int64_t>(whole.height) * whole.width;
  const int64_t images = std::min<int64_t>(program_.lanes.images, batch_.count - first_);
  for (int64_t i = 0; i < images; ++i)
    for (int c = 0; c < whole.channels; ++c)
      for (int y = 0; y < whole.height; ++y)
        for (int x = 0; x < whole.width; ++x)
          batch_.out[((first_ + i) * whole.channels + c) * area + y * whole.width + x] =
              *lane(out, static_cast<int>(i), c, y, x);
}

}  // namespace sparse
