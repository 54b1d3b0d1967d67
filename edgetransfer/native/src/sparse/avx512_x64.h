// AVX-512: the instructions of generated kernels, and what their 32 vector registers hold.
//
// | register | holds |
// |---|---|
// | zmm0 to zmm29 | the sums of up to thirty output channels |
// | zmm30, zmm31 | an input, in turns; on the way out constants of the activation |
//
// The System V ABI, which generated code is called by, preserves no vector register.
#pragma once

#include "assembler_x64.h"

namespace sparse::x64 {

class Avx512 : public Assembler {
 public:
  static constexpr int kChannels = 30, kParts = 1;
  static constexpr int kFree[2] = {30, 31};
  // Short displacements count in these bytes.
  static constexpr int32_t kInputUnit = 64, kWeightUnit = 4;
  // No weight or channel takes more bytes, moves of cursors included.
  static constexpr size_t kMostBytes = 48;

  using Assembler::Assembler;

  void load_vector(int z, Register base, int32_t d) { vector(1, 0, 0x10, z, 0, base, d, false); }
  void store_vector(int z, Register base, int32_t d) { vector(1, 0, 0x11, z, 0, base, d, false); }
  void broadcast(int z, Register base, int32_t d) {
    vector(2, 1, 0x18, z, 0, base, d, true, false);
  }
  // z += x * (the float at base + d)
  void multiply_add(int z, int x, Register base, int32_t d) {
    vector(2, 1, 0xB8, z, x, base, d, true);
  }
  void add_vector(int z, int x, Register base, int32_t d) {
    vector(1, 0, 0x58, z, x, base, d, false);
  }
  void maximum(int z, int a, int b) { registers(1, 0, 0x5F, z, a, b); }
  void minimum(int z, int a, int b) { registers(1, 0, 0x5D, z, a, b); }
  void multiply(int z, int a, int b) { registers(1, 0, 0x59, z, a, b); }
  void clear(int z) { registers(1, 1, 0xEF, z, z, z); }

  // An input vector for the multiply-adds that follow.
  void read(Register base, int32_t d) {
    input_ ^= 1;
    load_vector(kFree[input_], base, d);
  }
  void accumulate(int channel, Register weight, int32_t d) {
    multiply_add(channel, kFree[input_], weight, d);
  }
  // Of an input that no other channel of the block reads.
  void accumulate_once(int channel, Register weight, int32_t d, Register input, int32_t at) {
    read(input, at);
    accumulate(channel, weight, d);
  }
  void leave() {}

 private:
  // EVEX, 512 bits; map 1 is 0F, 2 is 0F38; prefix 1 is 66.
  void prefix(int map, int pp, int z, int x, bool rm_high, bool rm_bit3, bool broadcast) {
    byte(0x62);
    byte((((~z >> 3) & 1) << 7) | ((rm_high ? 0 : 1) << 6) | ((rm_bit3 ? 0 : 1) << 5) |
         (((~z >> 4) & 1) << 4) | map);
    byte(((~x & 15) << 3) | 4 | pp);
    byte(0x40 | (broadcast ? 0x10 : 0) | (((~x >> 4) & 1) << 3));
  }
  void vector(int map, int pp, int opcode, int z, int x, Register base, int32_t d, bool scalar,
              bool broadcast_bit = true) {
    prefix(map, pp, z, x, false, base >= 8, scalar && broadcast_bit);
    byte(opcode);
    const int32_t unit = scalar ? 4 : 64;
    if (d % unit == 0 && d / unit >= -128 && d / unit <= 127) {
      byte(0x40 | ((z & 7) << 3) | (base & 7));
      byte((d / unit) & 255);
    } else {
      byte(0x80 | ((z & 7) << 3) | (base & 7));
      word(d);
    }
  }
  void registers(int map, int pp, int opcode, int z, int a, int b) {
    prefix(map, pp, z, a, b >= 16, (b >> 3) & 1, false);
    byte(opcode);
    byte(0xC0 | ((z & 7) << 3) | (b & 7));
  }

  int input_ = 0;
};

}  // namespace sparse::x64
