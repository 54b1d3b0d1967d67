"""The bytes of each instruction in generated kernels, as an outside assembler writes them."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

from edgetransfer.native import compiling

# By `as` and `objdump` of binutils 2.40, the jump excepted, which `as` would make shorter.
GOLDEN = """
push %rbp = 55
push %r12 = 41 54
pop %rbx = 5b
pop %r15 = 41 5f
ret = c3
endbr64 = f3 0f 1e fa
mov 0x18(%rdi),%rcx = 48 8b 4f 18
mov 0x80(%r13),%r12 = 4d 8b a5 80 00 00 00
lea -0x80(%rsi),%rbp = 48 8d 6e 80
lea 0x12345(%r9),%r14 = 4d 8d b1 45 23 01 00
add %r12,%r9 = 4d 01 e1
add %rax,%rdx = 48 01 c2
dec %rcx = 48 ff c9
prefetcht0 0x40(%r8) = 41 0f 18 48 40
prefetcht0 0x100(%rdi) = 0f 18 8f 00 01 00 00
jne 0xfffffffffffffff0 = 0f 85 ea ff ff ff
vmovaps 0x20(%rdi),%ymm3 = c5 fc 28 5f 20
vmovaps 0x80(%r9),%ymm12 = c4 41 7c 28 a1 80 00 00 00
vmovaps %ymm11,-0x80(%rdx) = c5 7c 29 5a 80
vmovaps %ymm0,0x12340(%r13) = c4 c1 7c 29 85 40 23 01 00
vbroadcastss 0x4(%rsi),%ymm2 = c4 e2 7d 18 56 04
vbroadcastss -0x80(%rbp),%ymm15 = c4 62 7d 18 7d 80
vfmadd231ps %ymm12,%ymm14,%ymm7 = c4 c2 0d b8 fc
vfmadd231ps %ymm3,%ymm4,%ymm15 = c4 62 5d b8 fb
vfmadd231ps 0x20(%r9),%ymm15,%ymm11 = c4 42 05 b8 59 20
vfmadd231ps 0x4000(%rdi),%ymm14,%ymm0 = c4 e2 0d b8 87 00 40 00 00
vaddps 0x60(%r8),%ymm10,%ymm10 = c4 41 2c 58 50 60
vmaxps %ymm9,%ymm12,%ymm9 = c4 41 1c 5f c9
vminps %ymm1,%ymm13,%ymm1 = c5 94 5d c9
vmulps %ymm8,%ymm12,%ymm13 = c4 41 1c 59 e8
vxorps %ymm12,%ymm12,%ymm12 = c4 41 1c 57 e4
vzeroupper = c5 f8 77
vmovups 0x1fc0(%rdi),%zmm3 = 62 f1 7c 48 10 5f 7f
vmovups 0x2000(%r9),%zmm30 = 62 41 7c 48 10 b1 00 20 00 00
vmovups %zmm17,-0x2000(%rdx) = 62 e1 7c 48 11 4a 80
vbroadcastss -0x200(%rbp),%zmm29 = 62 62 7d 48 18 6d 80
vfmadd231ps 0x1fc(%rsi){1to16},%zmm31,%zmm16 = 62 e2 05 50 b8 46 7f
vfmadd231ps 0x200(%rbp){1to16},%zmm30,%zmm8 = 62 72 0d 50 b8 85 00 02 00 00
vaddps 0x40(%r8),%zmm25,%zmm25 = 62 41 34 40 58 48 01
vmaxps %zmm9,%zmm30,%zmm9 = 62 51 0c 40 5f c9
vminps %zmm24,%zmm31,%zmm24 = 62 01 04 40 5d c0
vmulps %zmm18,%zmm30,%zmm31 = 62 21 0c 40 59 fa
vpxord %zmm30,%zmm30,%zmm30 = 62 01 0d 40 ef f6
"""


@pytest.mark.skipif(compiling.find_compiler() is None, reason="there is no C++ compiler")
@pytest.mark.skipif(platform.system() == "Windows", reason="this compiles with Unix flags")
def test_each_instruction_has_the_bytes_that_an_assembler_gives_it(tmp_path: Path) -> None:
    source, program = Path(__file__).parent / "encodings.cpp", tmp_path / "encodings"
    include = f"-I{compiling.SOURCES['sparse']}"
    command = [compiling.find_compiler() or "", "-std=c++17", include, str(source)]
    subprocess.run([*command, "-o", str(program)], check=True)
    done = subprocess.run([str(program)], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines() == GOLDEN.strip().splitlines()
