// The few AVX-512 and general instructions that generated kernels consist of.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sparse::x64 {

// No instruction below is longer.
constexpr size_t kLongestInstruction = 12;

enum Register : int {
  rax = 0, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
};

class Assembler {
 public:
  // Writes from `code` on, which the caller has made room for.
  explicit Assembler(uint8_t* code) : start_(code), at_(code) {}

  void push(Register r) { if (r >= 8) byte(0x41); byte(0x50 | (r & 7)); }
  void pop(Register r) { if (r >= 8) byte(0x41); byte(0x58 | (r & 7)); }
  void ret() { byte(0xC3); }
  // What an indirect call must land on where the system tracks branches.
  void branch_target() { for (int b : {0xF3, 0x0F, 0x1E, 0xFA}) byte(b); }
  void load(Register to, Register base, int32_t displacement) { rex(to, base); byte(0x8B); memory(to, base, displacement); }
  void lea(Register to, Register base, int32_t displacement) { rex(to, base); byte(0x8D); memory(to, base, displacement); }
  void add(Register to, Register from) { rex(from, to); byte(0x01); byte(0xC0 | ((from & 7) << 3) | (to & 7)); }
  void decrement(Register r) { rex(0, r); byte(0xFF); byte(0xC8 | (r & 7)); }
  // Into the first cache.
  void prefetch(Register base, int32_t d) {
    if (base >= 8) byte(0x41);
    byte(0x0F);
    byte(0x18);
    memory(1, base, d);
  }
  size_t here() const { return static_cast<size_t>(at_ - start_); }
  void jump_if_not_zero(size_t target) {
    byte(0x0F); byte(0x85);
    word(static_cast<int32_t>(static_cast<int64_t>(target) - static_cast<int64_t>(here() + 4)));
  }

  void load_vector(int z, Register base, int32_t d) { vector(1, 0, 0x10, z, 0, base, d, false); }
  void store_vector(int z, Register base, int32_t d) { vector(1, 0, 0x11, z, 0, base, d, false); }
  void broadcast(int z, Register base, int32_t d) { vector(2, 1, 0x18, z, 0, base, d, true, false); }
  // z += x * (the float at base + d)
  void multiply_add(int z, int x, Register base, int32_t d) { vector(2, 1, 0xB8, z, x, base, d, true); }
  void add_vector(int z, int x, Register base, int32_t d) { vector(1, 0, 0x58, z, x, base, d, false); }
  void maximum(int z, int a, int b) { registers(1, 0, 0x5F, z, a, b); }
  void minimum(int z, int a, int b) { registers(1, 0, 0x5D, z, a, b); }
  void multiply(int z, int a, int b) { registers(1, 0, 0x59, z, a, b); }
  void sum(int z, int a, int b) { registers(1, 0, 0x58, z, a, b); }
  void clear(int z) { registers(1, 1, 0xEF, z, z, z); }

 private:
  void byte(int value) { *at_++ = static_cast<uint8_t>(value); }
  void word(int32_t value) { for (int i = 0; i < 4; ++i) byte((value >> (8 * i)) & 255); }
  void rex(int reg, int base) { byte(0x48 | ((reg >> 3) << 2) | (base >> 3)); }
  // base is never rsp, r12 (these need an index byte).
  void memory(int reg, int base, int32_t d) {
    if (d >= -128 && d <= 127) {
      byte(0x40 | ((reg & 7) << 3) | (base & 7));
      byte(d & 255);
    } else {
      byte(0x80 | ((reg & 7) << 3) | (base & 7));
      word(d);
    }
  }
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

  uint8_t *start_, *at_;
};

}  // namespace sparse::x64
