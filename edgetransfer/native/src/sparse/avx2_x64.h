// AVX2 and FMA: the instructions of generated kernels, and what their 16 vector registers hold.
//
// | register | holds |
// |---|---|
// | ymm0 to ymm11 | the sums of up to six output channels: of channel c lanes 0 to 7 in 2c, 8 to 15
// in 2c + 1 | | ymm12, ymm13 | the two halves of an input; on the way out constants of the
// activation | | ymm14, ymm15 | a weight in all lanes, in turns |
//
// The System V ABI, which generated code is called by, preserves no vector register.
#pragma once

#include "assembler_x64.h"

namespace sparse::x64 {

class Avx2 : public Assembler {
 public:
  static constexpr int kChannels = 6, kParts = 2;
  static constexpr int kFree[2] = {12, 13};
  // Displacements of one byte reach four vectors: inputs are named by four bytes from their row.
  static constexpr int32_t kInputUnit = 0, kWeightUnit = 1;
  // No weight or channel takes more bytes, moves of cursors included.
  static constexpr size_t kMostBytes = 56;

  using Assembler::Assembler;

  void load_vector(int y, Register base, int32_t d) { vector(1, 0, 0x28, y, 0, base, d); }
  void store_vector(int y, Register base, int32_t d) { vector(1, 0, 0x29, y, 0, base, d); }
  void broadcast(int y, Register base, int32_t d) { vector(2, 1, 0x18, y, 0, base, d); }
  // y += x * (the vector at base + d)
  void multiply_add(int y, int x, Register base, int32_t d) { vector(2, 1, 0xB8, y, x, base, d); }
  void add_vector(int y, int x, Register base, int32_t d) { vector(1, 0, 0x58, y, x, base, d); }
  void multiply_add(int y, int a, int b) { registers(2, 1, 0xB8, y, a, b); }
  void maximum(int y, int a, int b) { registers(1, 0, 0x5F, y, a, b); }
  void minimum(int y, int a, int b) { registers(1, 0, 0x5D, y, a, b); }
  void multiply(int y, int a, int b) { registers(1, 0, 0x59, y, a, b); }
  void clear(int y) { registers(1, 0, 0x57, y, y, y); }
  // Upper halves that are not zero would slow down what is compiled without AVX.
  void leave() {
    byte(0xC5);
    byte(0xF8);
    byte(0x77);
  }

  // An input vector for the multiply-adds that follow.
  void read(Register base, int32_t d) {
    load_vector(kFree[0], base, d);
    load_vector(kFree[1], base, d + kPartBytes);
  }
  void accumulate(int channel, Register weight, int32_t d) {
    const int w = weigh(weight, d);
    for (int part = 0; part < kParts; ++part) multiply_add(kParts * channel + part, w, kFree[part]);
  }
  // Of an input that no other channel of the block reads.
  void accumulate_once(int channel, Register weight, int32_t d, Register input, int32_t at) {
    const int w = weigh(weight, d);
    for (int part = 0; part < kParts; ++part)
      multiply_add(kParts * channel + part, w, input, at + part * kPartBytes);
  }

 private:
  static constexpr int32_t kPartBytes = 32;

  int weigh(Register base, int32_t d) {
    weight_ ^= 1;
    broadcast(14 + weight_, base, d);
    return 14 + weight_;
  }
  // VEX, 256 bits; map 1 is 0F, 2 is 0F38; prefix 1 is 66. Of two bytes where that can be.
  void prefix(int map, int pp, int y, int x, bool rm_bit3) {
    const int rest = ((~x & 15) << 3) | 4 | pp;
    const int not_y3 = y >= 8 ? 0 : 0x80;
    if (map == 1 && !rm_bit3) {
      byte(0xC5);
      byte(not_y3 | rest);
    } else {
      byte(0xC4);
      byte(not_y3 | 0x40 | (rm_bit3 ? 0 : 0x20) | map);
      byte(rest);
    }
  }
  void vector(int map, int pp, int opcode, int y, int x, Register base, int32_t d) {
    prefix(map, pp, y, x, base >= 8);
    byte(opcode);
    memory(y, base, d);
  }
  void registers(int map, int pp, int opcode, int y, int a, int b) {
    prefix(map, pp, y, a, b >= 8);
    byte(opcode);
    byte(0xC0 | ((y & 7) << 3) | (b & 7));
  }

  int weight_ = 0;
};

}  // namespace sparse::x64
