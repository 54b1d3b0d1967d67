"""C++ programs of this folder, linked with the engine under a sanitizer."""

from __future__ import annotations

import subprocess
from pathlib import Path

from edgetransfer.native import compiling

HERE = Path(__file__).parent
MEMORY = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
RACES = ("-fsanitize=thread",)
PORTABLE = "portable"
SETS = ("portable", "avx2", "avx512")


def build_harness(folder: Path, name: str, *flags: str, kernels: str = PORTABLE) -> Path:
    """A program of this folder linked with the engine, its kernels those of one set.

    They serve for whatever set is asked for by name.
    """
    rooms = [compiling.SOURCES[room] for room in ("common", "sparse")]
    options = ["-std=c++17", "-O1", "-g", "-pthread", *flags, f"-I{rooms[1]}"]
    special, width, registers = compiling.X86_64[kernels]
    special = [*special, f"-DSPARSE_KERNELS=kernels_{kernels}", f"-DSPARSE_NAME={kernels}"]
    special += [f"-DSPARSE_VECTOR_BYTES={width}", f"-DSPARSE_REGISTERS={registers}"]
    others = "".join(
        f"const Kernels& kernels_{other}() {{ return kernels_{kernels}(); }}\n"
        for other in SETS
        if other != kernels
    )
    declared = f"const Kernels& kernels_{kernels}();\n"
    (folder / "others.cpp").write_text(
        f'#include "kernels.h"\nnamespace sparse {{\n{declared}{others}}}\n'
    )
    sources = [path for room in rooms for path in sorted(room.glob("*.cpp"))]
    of_kernels = [path for path in sources if path.stem.endswith("kernels")]
    objects = [folder / f"{path.stem}.o" for path in of_kernels]
    for source, made in zip(of_kernels, objects, strict=True):
        command = ["g++", *options, *special, "-c", str(source), "-o", str(made)]
        subprocess.run(command, check=True)
    rest = [path for path in sources if path not in of_kernels]
    rest += [HERE / f"{name}.cpp", folder / "others.cpp", *objects]
    program = folder / name
    subprocess.run(["g++", *options, *map(str, rest), "-o", str(program)], check=True)
    return program
