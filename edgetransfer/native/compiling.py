"""Compiling the native library; nothing but the standard library, because a build runs it.

    python -m edgetransfer.native.compiling

compiles it in place: the sparse engine and the steps of a head, one library. Kernels are compiled
once for each instruction set and chosen at run time, so that the library runs on any processor of
its family.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = {room: HERE / "src" / room for room in ("common", "sparse", "heads", "training")}
LIBRARY = HERE / "_native.so"

# Name: the compiler's flags, the bytes of a vector, the number of vector registers.
PORTABLE: dict[str, tuple[list[str], int, int]] = {"portable": ([], 16, 16)}
X86_64 = PORTABLE | {
    "avx2": (["-mavx2", "-mfma"], 32, 16),
    "avx512": (["-mavx512f", "-mavx512dq", "-mavx512vl", "-mavx2", "-mfma"], 64, 32),
}
ARM64: dict[str, tuple[list[str], int, int]] = {"portable": ([], 16, 32)}


class CompileError(Exception):
    """There is no C++ compiler, or it failed; the message says which and how."""


def find_compiler() -> str | None:
    """The C++ compiler: what CXX names, or the first of g++ and clang++."""
    named = os.environ.get("CXX", "").split()
    for candidate in (*named[:1], "g++", "clang++", "c++"):
        if shutil.which(candidate) is not None:
            return candidate
    return None


def is_current(library: Path = LIBRARY) -> bool:
    """Whether the library is there and younger than every source."""
    if not library.exists():
        return False
    files = [path for folder in SOURCES.values() for path in folder.iterdir()]
    newest = max(path.stat().st_mtime for path in [*files, Path(__file__)])
    return library.stat().st_mtime >= newest


def why_absent() -> str | None:
    """Why the native library is not there and what mends it, or None if it is; loads nothing."""
    if LIBRARY.exists():
        return None
    found = find_compiler()
    first = "" if found else "install a C++ compiler (g++ or clang++), then "
    return (
        "the sparse engine's native library was not compiled when edgetransfer was installed: "
        f"{first}run python -m edgetransfer.native.compiling"
    )


def compile_library(
    library: Path = LIBRARY,
    *,
    compiler: str | None = None,
    machine: str | None = None,
    extra: Sequence[str] = (),
) -> None:
    """Compile the native library; it appears whole or not at all.

    Parameters
    ----------
    library
        Where to.
    compiler
        The C++17 compiler, with GCC's vector extensions; found by itself if None.
    machine
        The processor family to compile for, as `platform.machine` names it.
    extra
        More flags, for compiling and linking, such as a sanitizer's.

    Raises
    ------
    CompileError
        If there is no compiler, or it fails.
    """
    compiler = compiler or find_compiler()
    if compiler is None:
        raise CompileError("no C++ compiler was found (g++ or clang++)")
    target = (machine or _target_machine()).lower()
    extra = [*os.environ.get("ARCHFLAGS", "").split(), *extra]
    common = ["-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", "-pthread"]
    common += ["-Wall", "-Wextra", *extra]
    with tempfile.TemporaryDirectory(prefix="edgetransfer-") as folder:
        jobs = []
        sources = sorted(path for sources in SOURCES.values() for path in sources.glob("*.cpp"))
        kernels = [path for path in sources if path.stem.endswith("kernels")]
        for source in sources:
            if source not in kernels:
                jobs.append((Path(folder) / f"{source.stem}.o", source, common))
        for name, (flags, width, registers) in instruction_sets(target).items():
            defines = [
                f"-DSPARSE_KERNELS=kernels_{name}",
                f"-DSPARSE_NAME={name}",
                f"-DSPARSE_VECTOR_BYTES={width}",
                f"-DSPARSE_REGISTERS={registers}",
            ]
            options = [*common, "-O3", "-ffp-contract=fast", *flags, *defines]
            for source in kernels:
                jobs.append((Path(folder) / f"{source.stem}_{name}.o", source, options))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(
                pool.map(lambda j: _run([compiler, *j[2], "-c", str(j[1]), "-o", str(j[0])]), jobs)
            )
        linked = Path(folder) / library.name
        objects = [str(job[0]) for job in jobs]
        _run([compiler, "-shared", "-pthread", *extra, *objects, "-o", str(linked)])
        beside = library.with_name(f".{library.name}.{os.getpid()}")
        shutil.copyfile(linked, beside)
        beside.chmod(0o755)
        beside.replace(library)


def instruction_sets(machine: str) -> dict[str, tuple[list[str], int, int]]:
    """The kernels' builds for a processor family."""
    if machine in ("x86_64", "amd64"):
        return X86_64
    return ARM64 if machine in ("aarch64", "arm64") else PORTABLE


def _target_machine() -> str:
    # A universal or cross build of macOS names its target here.
    flags = os.environ.get("ARCHFLAGS", "").split()
    if flags[:1] == ["-arch"] and len(flags) == 2:
        return flags[1]
    wheel = sysconfig.get_platform().rsplit("-", 1)[-1]
    return wheel if wheel in ("x86_64", "arm64", "aarch64") else platform.machine()


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CompileError(f"{command[0]} cannot be started: {error}") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or ["no message"]
        raise CompileError(f"{command[0]} failed: {lines[0][:300]}")


if __name__ == "__main__":
    try:
        compile_library()
    except CompileError as failure:
        sys.exit(f"The native library was not compiled: {failure}")
    print(LIBRARY, file=sys.stderr)
