// Running a program's steps on one arena.
#pragma once

#include "program.h"

namespace sparse {

// Memory on whole, preferably large, pages; zero at first.
class Arena {
 public:
  explicit Arena(int64_t bytes);
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();
  char* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  char* data_ = nullptr;
  void* whole_ = nullptr;
  int64_t bytes_ = 0;
};

struct Batch {
  const float* images;  // (count, channels, height, width)
  float* out;           // (count, channels, height, width) of the output
  int64_t count;
};

// One set of lanes of a batch, from packing to output.
class Run {
 public:
  Run(const Program& program, const Arena& arena, const char* zero_row, const Batch& batch,
      int64_t first_image)
      : program_(program),
        arena_(arena.data()),
        zeros_(zero_row),
        batch_(batch),
        first_(first_image) {}

  // The share of a step that falls to one of several threads.
  void step(const Step& step, int part, int parts) const;
  void unpack() const;

 private:
  void pack(const Work& work, int y0, int y1) const;
  void retile(const Work& work, int y0, int y1) const;
  void convolve(const Work& work, const Operator& op, int y0, int y1, int b0, int b1) const;
  void pool(const Work& work, const Operator& op, int y) const;
  void global_average(const Work& work, const Operator& op, int c0, int c1) const;
  void copy(const Work& work, const Operator& op, int y) const;
  void combine(const Work& work, const Operator& op, int y) const;
  void move(const Work& work, const Operator& op, int y) const;
  void resample(const Work& work, const Operator& op, int y) const;
  void normalise_pixels(const Work& work, const Operator& op, int y) const;
  void normalise_plane(const Work& work, const Operator& op, int g0, int g1) const;
  void softmax(const Work& work, const Operator& op, int y, int g0, int g1) const;
  void product(const Work& work, const Operator& op, int y, int g0, int g1) const;
  void constant(const Work& work, const Operator& op, int y) const;
  void mix(const Work& work, const Operator& op, int y, int g0, int g1) const;
  void clear_edges(const Storage& storage, int y) const;
  float* lane(const Storage& s, int image, int channel, int y, int x) const;

  const Program& program_;
  char* arena_;
  const char* zeros_;
  const Batch& batch_;
  int64_t first_;
};

}  // namespace sparse
