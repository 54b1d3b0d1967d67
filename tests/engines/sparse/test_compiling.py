"""Compiling the native library: without a compiler, under sanitizers, for another processor."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from edgetransfer.engines.sparse.lowering import lower
from edgetransfer.engines.sparse.opening import open_sparse
from edgetransfer.errors import EngineError
from edgetransfer.heads.native_steps import MOST_BATCH, _Step, load_step
from edgetransfer.native import compiling, loading
from edgetransfer.native.compiling import why_absent
from tests.engines.sparse.plans import run_plan
from tests.graphs_made import noise, tiny

HERE = Path(__file__).parent
needs_library = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))


def test_without_a_compiler_the_engine_is_absent_and_says_what_mends_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(compiling, "LIBRARY", tmp_path / "none.so")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(compiling.CompileError, match="no C\\+\\+ compiler"):
        compiling.compile_library()
    assert not list(tmp_path.iterdir())
    absent = why_absent()
    assert absent is not None
    assert "install a C++ compiler" in absent
    assert "python -m edgetransfer.native.compiling" in absent


def test_a_compiler_that_fails_leaves_nothing(tmp_path: Path) -> None:
    compiler = tmp_path / "broken"
    compiler.write_text("#!/bin/sh\necho 'x.cpp:1: error: no such thing' >&2\nexit 1\n")
    compiler.chmod(0o755)
    with pytest.raises(compiling.CompileError, match="error: no such thing"):
        compiling.compile_library(tmp_path / "out.so", compiler=str(compiler))
    assert not (tmp_path / "out.so").exists()


def test_a_library_that_is_damaged_is_an_engine_error(tmp_path: Path) -> None:
    (tmp_path / "bad.so").write_bytes(b"not a library")
    program = """
        import sys
        from pathlib import Path
        from edgetransfer.native import compiling
        from edgetransfer.engines.sparse import library
        from edgetransfer.errors import EngineError
        compiling.LIBRARY = Path(sys.argv[1])
        try:
            library.load_library()
        except EngineError as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "bad.so")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "bad.so cannot be loaded" in done.stdout


@needs_library
@pytest.mark.parametrize("name", loading.TOLD)
def test_a_library_from_other_sources_is_refused_before_it_is_called(name: str) -> None:
    loading.load_native()
    with pytest.raises(EngineError, match=r"compiled from other sources.*native\.compiling"):
        loading.load_native(**{name: -1})


@pytest.mark.skipif(sys.platform != "linux", reason="this names a library of Linux")
def test_a_library_that_tells_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "LIBRARY", Path("libm.so.6"))
    monkeypatch.setattr(compiling, "why_absent", lambda: None)  # it is, on the loader's own path
    with pytest.raises(EngineError, match="plan version is not told, and must be 2"):
        loading.load_native(plan_version=2)


@needs_library
def test_the_native_step_refuses_what_it_has_no_room_for() -> None:
    step = load_step()
    assert step is not None
    for batch, columns in ((0, 16), (MOST_BATCH + 1, 16), (1, 15)):
        shape, meeting = _Step(batch=batch, columns=columns), ctypes.c_int(0)
        assert step(ctypes.addressof(shape), 0, 1, ctypes.addressof(meeting)) == 1


@needs_library
def test_absence_is_an_engine_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from edgetransfer.engines.sparse.library import load_library

    load_library.cache_clear()
    monkeypatch.setattr(compiling, "LIBRARY", tmp_path / "none.so")
    with pytest.raises(EngineError, match="was not compiled"):
        open_sparse(tiny(batch=1).model, threads=1, reason="test")


@pytest.mark.skipif(compiling.find_compiler() is None, reason="there is no C++ compiler")
@pytest.mark.parametrize(
    ("room", "folder", "file"),
    [
        ("sparse", "sparse", "kernels"),
        ("head", "heads", "head_kernels"),
        ("training", "training", "training_kernels"),
    ],
)
def test_code_for_one_processor_does_not_reach_another(
    tmp_path: Path, room: str, folder: str, file: str
) -> None:
    """Kernels export their one function alone: a shared template would run anywhere."""
    compiler = compiling.find_compiler() or ""
    if shutil.which("nm") is None:
        pytest.skip("nm is not installed")
    target = compiling.instruction_sets("x86_64")["avx512"]
    if os.uname().machine != "x86_64":
        pytest.skip("this is about x86-64")
    out = tmp_path / "k.o"
    defines = ["-DSPARSE_KERNELS=kernels_avx512", "-DSPARSE_NAME=avx512"]
    defines += [f"-DSPARSE_VECTOR_BYTES={target[1]}", f"-DSPARSE_REGISTERS={target[2]}"]
    source = compiling.SOURCES[folder] / f"{file}.cpp"
    subprocess.run(
        [
            compiler,
            "-std=c++17",
            "-O3",
            "-fPIC",
            *target[0],
            *defines,
            "-c",
            str(source),
            "-o",
            str(out),
        ],
        check=True,
    )
    symbols = subprocess.run(["nm", "-C", str(out)], capture_output=True, text=True, check=True)
    weak = [line for line in symbols.stdout.splitlines() if line.split()[-2] in "WV"]
    assert weak == []
    defined = [line.split(" T ")[1] for line in symbols.stdout.splitlines() if " T " in line]
    assert defined == [f"{room}::kernels_avx512()"]


@pytest.mark.slow
@pytest.mark.skipif(compiling.find_compiler() is None, reason="there is no C++ compiler")
def test_it_compiles_without_a_warning(tmp_path: Path) -> None:
    compiling.compile_library(tmp_path / "clean.so", extra=["-Werror"])


SANITIZED = """
    import sys
    from pathlib import Path
    import pytest
    from edgetransfer.native import compiling
    compiling.LIBRARY = Path(sys.argv[1])
    arguments = ["-q", "-p", "no:cacheprovider", "-x", *sys.argv[2:]]
    sys.exit(pytest.main(arguments))
"""


@pytest.mark.slow
@needs_library
@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
def test_kernels_and_sessions_are_clean_under_sanitizers(tmp_path: Path) -> None:
    library = tmp_path / "sanitized.so"
    flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-g"]
    compiling.compile_library(library, compiler="g++", extra=flags)
    found = [
        subprocess.run(
            ["g++", f"-print-file-name=lib{name}.so"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("asan", "ubsan", "stdc++")
    ]
    rooms = ("kernels", "session", "graphs", "padding", "epilogues", "mixing")
    tests = [str(HERE / f"test_{name}.py") for name in rooms]
    tests.append(str(HERE.parents[1] / "masked"))
    deselected = [f"--deselect={HERE / 'test_graphs.py'}::test_imagenet_graphs"]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SANITIZED), str(library), *tests, *deselected],
        env={**os.environ, "LD_PRELOAD": " ".join(found), "ASAN_OPTIONS": "detect_leaks=0"},
        capture_output=True,
        text=True,
        check=False,
        cwd=HERE.parents[2],
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def _sources(*rooms: str) -> list[Path]:
    return [path for room in rooms for path in sorted(compiling.SOURCES[room].glob("*.cpp"))]


@pytest.mark.slow
@needs_library
def test_neon_under_an_emulator(tmp_path: Path) -> None:
    compiler, emulator = shutil.which("aarch64-linux-gnu-g++"), shutil.which("qemu-aarch64")
    if compiler is None or emulator is None:
        pytest.skip("install g++-aarch64-linux-gnu and qemu-user for this")
    program = tmp_path / "run_plan"
    objects = []
    flags, width, registers = compiling.instruction_sets("aarch64")["portable"]
    for source in [*_sources("common", "sparse"), HERE / "run_plan.cpp"]:
        options = ["-std=c++17", "-O2", *flags, "-ffp-contract=fast"]
        if source.stem == "kernels":
            options += ["-DSPARSE_KERNELS=kernels_portable", "-DSPARSE_NAME=portable"]
            options += [f"-DSPARSE_VECTOR_BYTES={width}", f"-DSPARSE_REGISTERS={registers}"]
        objects.append(str(tmp_path / f"{source.stem}.o"))
        subprocess.run([compiler, *options, "-c", str(source), "-o", objects[-1]], check=True)
    subprocess.run([compiler, "-static", "-pthread", *objects, "-o", str(program)], check=True)
    plan = lower(tiny(batch=1, sparsity=0.5, size=19).model)
    words, numbers = plan.serialise()
    images = noise(21, 3, 19, 19)
    for name, array in {"words": words, "numbers": numbers, "images": images}.items():
        array.tofile(tmp_path / name)
    expected = run_plan(plan, images)
    files = [str(tmp_path / name) for name in ("words", "numbers", "images")]
    command = [emulator, str(program), *files, "21", "2", str(tmp_path / "out"), str(expected.size)]
    subprocess.run(command, check=True)
    found = np.fromfile(tmp_path / "out", np.float32).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
