// The few general instructions that generated kernels consist of; avx2_x64.h and avx512_x64.h add
// those on vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace sparse::x64 {

enum Register : int {
  rax = 0,
  rcx,
  rdx,
  rbx,
  rsp,
  rbp,
  rsi,
  rdi,
  r8,
  r9,
  r10,
  r11,
  r12,
  r13,
  r14,
  r15
};

class Assembler {
 public:
  // Writes from `code` on, at most so many bytes.
  Assembler(uint8_t* code, size_t room) : start_(code), at_(code), end_(code + room) {}

  void push(Register r) {
    if (r >= 8) byte(0x41);
    byte(0x50 | (r & 7));
  }
  void pop(Register r) {
    if (r >= 8) byte(0x41);
    byte(0x58 | (r & 7));
  }
  void ret() { byte(0xC3); }
  // What an indirect call must land on where the system tracks branches.
  void branch_target() {
    for (int b : {0xF3, 0x0F, 0x1E, 0xFA}) byte(b);
  }
  void load(Register to, Register base, int32_t displacement) {
    rex(to, base);
    byte(0x8B);
    memory(to, base, displacement);
  }
  void lea(Register to, Register base, int32_t displacement) {
    rex(to, base);
    byte(0x8D);
    memory(to, base, displacement);
  }
  void add(Register to, Register from) {
    rex(from, to);
    byte(0x01);
    byte(0xC0 | ((from & 7) << 3) | (to & 7));
  }
  void decrement(Register r) {
    rex(0, r);
    byte(0xFF);
    byte(0xC8 | (r & 7));
  }
  // Into the first cache.
  void prefetch(Register base, int32_t d) {
    if (base >= 8) byte(0x41);
    byte(0x0F);
    byte(0x18);
    memory(1, base, d);
  }
  size_t here() const { return static_cast<size_t>(at_ - start_); }
  bool fitted() const { return at_ <= end_; }
  void jump_if_not_zero(size_t target) {
    byte(0x0F);
    byte(0x85);
    word(static_cast<int32_t>(static_cast<int64_t>(target) - static_cast<int64_t>(here() + 4)));
  }

 protected:
  void byte(int value) {
    if (at_ < end_) *at_ = static_cast<uint8_t>(value);
    ++at_;
  }
  void word(int32_t value) {
    for (int i = 0; i < 4; ++i) byte((value >> (8 * i)) & 255);
  }
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

 private:
  uint8_t *const start_, *at_, *const end_;
};

}  // namespace sparse::x64
