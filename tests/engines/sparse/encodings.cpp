// Prints each instruction that generated kernels consist of: "AT&T text = bytes", one a line.
#include <cstdio>

#include "avx2_x64.h"
#include "avx512_x64.h"

using namespace sparse::x64;

namespace {

template <typename Vectors, typename Emit>
void show(const char* text, Emit emit) {
  uint8_t bytes[64];
  Vectors to(bytes, sizeof(bytes));
  emit(to);
  std::printf("%s =", text);
  for (size_t i = 0; i < to.here(); ++i) std::printf(" %02x", bytes[i]);
  std::printf("\n");
}

}  // namespace

#define GENERAL(text, code) show<Avx2>(text, [](Avx2& to) { to.code; })
#define AVX2(text, code) show<Avx2>(text, [](Avx2& to) { to.code; })
#define AVX512(text, code) show<Avx512>(text, [](Avx512& to) { to.code; })

int main() {
  GENERAL("push %rbp", push(rbp));
  GENERAL("push %r12", push(r12));
  GENERAL("pop %rbx", pop(rbx));
  GENERAL("pop %r15", pop(r15));
  GENERAL("ret", ret());
  GENERAL("endbr64", branch_target());
  GENERAL("mov 0x18(%rdi),%rcx", load(rcx, rdi, 0x18));
  GENERAL("mov 0x80(%r13),%r12", load(r12, r13, 0x80));
  GENERAL("lea -0x80(%rsi),%rbp", lea(rbp, rsi, -0x80));
  GENERAL("lea 0x12345(%r9),%r14", lea(r14, r9, 0x12345));
  GENERAL("add %r12,%r9", add(r9, r12));
  GENERAL("add %rax,%rdx", add(rdx, rax));
  GENERAL("dec %rcx", decrement(rcx));
  GENERAL("prefetcht0 0x40(%r8)", prefetch(r8, 0x40));
  GENERAL("prefetcht0 0x100(%rdi)", prefetch(rdi, 0x100));
  GENERAL("jne 0xfffffffffffffff0", jump_if_not_zero(static_cast<size_t>(-0x10)));
  AVX2("vmovaps 0x20(%rdi),%ymm3", load_vector(3, rdi, 0x20));
  AVX2("vmovaps 0x80(%r9),%ymm12", load_vector(12, r9, 0x80));
  AVX2("vmovaps %ymm11,-0x80(%rdx)", store_vector(11, rdx, -0x80));
  AVX2("vmovaps %ymm0,0x12340(%r13)", store_vector(0, r13, 0x12340));
  AVX2("vbroadcastss 0x4(%rsi),%ymm2", broadcast(2, rsi, 4));
  AVX2("vbroadcastss -0x80(%rbp),%ymm15", broadcast(15, rbp, -0x80));
  AVX2("vfmadd231ps %ymm12,%ymm14,%ymm7", multiply_add(7, 14, 12));
  AVX2("vfmadd231ps %ymm3,%ymm4,%ymm15", multiply_add(15, 4, 3));
  AVX2("vfmadd231ps 0x20(%r9),%ymm15,%ymm11", multiply_add(11, 15, r9, 0x20));
  AVX2("vfmadd231ps 0x4000(%rdi),%ymm14,%ymm0", multiply_add(0, 14, rdi, 0x4000));
  AVX2("vaddps 0x60(%r8),%ymm10,%ymm10", add_vector(10, 10, r8, 0x60));
  AVX2("vmaxps %ymm9,%ymm12,%ymm9", maximum(9, 12, 9));
  AVX2("vminps %ymm1,%ymm13,%ymm1", minimum(1, 13, 1));
  AVX2("vmulps %ymm8,%ymm12,%ymm13", multiply(13, 12, 8));
  AVX2("vxorps %ymm12,%ymm12,%ymm12", clear(12));
  AVX2("vzeroupper", leave());
  AVX512("vmovups 0x1fc0(%rdi),%zmm3", load_vector(3, rdi, 0x1fc0));
  AVX512("vmovups 0x2000(%r9),%zmm30", load_vector(30, r9, 0x2000));
  AVX512("vmovups %zmm17,-0x2000(%rdx)", store_vector(17, rdx, -0x2000));
  AVX512("vbroadcastss -0x200(%rbp),%zmm29", broadcast(29, rbp, -0x200));
  AVX512("vfmadd231ps 0x1fc(%rsi){1to16},%zmm31,%zmm16", multiply_add(16, 31, rsi, 0x1fc));
  AVX512("vfmadd231ps 0x200(%rbp){1to16},%zmm30,%zmm8", multiply_add(8, 30, rbp, 0x200));
  AVX512("vaddps 0x40(%r8),%zmm25,%zmm25", add_vector(25, 25, r8, 0x40));
  AVX512("vmaxps %zmm9,%zmm30,%zmm9", maximum(9, 30, 9));
  AVX512("vminps %zmm24,%zmm31,%zmm24", minimum(24, 31, 24));
  AVX512("vmulps %zmm18,%zmm30,%zmm31", multiply(31, 30, 18));
  AVX512("vpxord %zmm30,%zmm30,%zmm30", clear(30));
}
