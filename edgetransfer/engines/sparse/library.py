"""The native library: loaded once, called through ctypes."""

from __future__ import annotations

import ctypes
import os
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from edgetransfer.engines.sparse.plan import PLAN_VERSION, Words
from edgetransfer.errors import EngineError
from edgetransfer.native.loading import load_native
from edgetransfer.types import Float32Array

ERROR_BYTES = 512


@cache
def load_library() -> ctypes.CDLL:
    """Load the native library and declare its functions.

    Raises
    ------
    EngineError
        If it is not there, cannot be loaded, or was compiled from other sources.
    """
    library = load_native(plan_version=PLAN_VERSION)
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "sparse_instruction_set": (ctypes.c_char_p, []),
        "sparse_open": (
            pointer,
            [pointer, number, pointer, number, number, ctypes.c_char_p, number],
        ),
        "sparse_run": (ctypes.c_int, [pointer, pointer, number, pointer, ctypes.c_char_p, number]),
        "sparse_describe": (None, [pointer, pointer, pointer, pointer]),
        "sparse_profile": (None, [pointer, ctypes.c_int, pointer]),
        "sparse_spin": (number, [number]),
        "sparse_memory": (number, [pointer]),
        "sparse_close": (None, [pointer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def instruction_set() -> str:
    """The kernels that run here: ``avx512``, ``avx2`` or ``portable``."""
    name: bytes = load_library().sparse_instruction_set()
    return name.decode()


def measured_peak() -> float:
    """The most multiply-adds a second that one core does in these kernels, in registers alone."""
    library, best = load_library(), 0.0
    for _ in range(5):
        start, rounds = time.perf_counter(), 2_000_000
        adds = int(library.sparse_spin(rounds))
        best = max(best, rounds * adds / (time.perf_counter() - start))
    return best


@dataclass(frozen=True, kw_only=True)
class OperatorRecord:
    """How one operator of a plan runs.

    Parameters
    ----------
    form
        ``generated``, ``rows``, ``dense`` or ``depthwise``; operators without weights say ``rows``.
    weights
        How many are not zero.
    code_bytes
        Of generated code and the weights that it reads.
    """

    form: str
    weights: int
    code_bytes: int


class Session:
    """A planned network in the native library.

    Parameters
    ----------
    words, numbers
        The plan, as `Plan.serialise` makes it.
    operators
        How many it has.
    threads
        Of this session's own pool.

    Raises
    ------
    EngineError
        If the library refuses the plan, or there is not enough memory.
    """

    def __init__(
        self, words: Words, numbers: Float32Array, *, operators: int, threads: int
    ) -> None:
        self._library = load_library()
        self._error = ctypes.create_string_buffer(ERROR_BYTES)
        self._operators = operators
        self._process, self._here = os.getpid(), os.getpid  # modules go before the last objects
        self._handle: int | None = self._library.sparse_open(
            words.ctypes.data, len(words), numbers.ctypes.data, len(numbers), threads,
            self._error, ERROR_BYTES,
        )  # fmt: skip
        if not self._handle:
            raise EngineError(f"The sparse engine cannot open this backbone: {self._message()}")

    def _message(self) -> str:
        return self._error.value.decode(errors="replace")

    def _open_handle(self) -> int:
        if not self._handle:
            raise ValueError("the session is closed")
        return self._handle

    def run(self, images: Float32Array, out: Float32Array) -> None:
        """Run C-contiguous float32 images into an output array; both lead with the batch."""
        failed = self._library.sparse_run(
            self._open_handle(), images.ctypes.data, len(images), out.ctypes.data,
            self._error, ERROR_BYTES,
        )  # fmt: skip
        if failed:
            raise EngineError(f"The sparse engine failed: {self._message()}")

    def describe(self) -> list[OperatorRecord]:
        """How each operator runs, in the order of the plan."""
        columns = np.zeros((3, self._operators), np.int64)
        self._library.sparse_describe(
            self._open_handle(), *(column.ctypes.data for column in columns)
        )
        forms = ("generated", "rows", "dense", "depthwise")
        return [
            OperatorRecord(form=forms[f], weights=int(w), code_bytes=int(c))
            for f, w, c in columns.T
        ]

    def profile(self, *, on: bool) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Switch the clocks on or off; seconds by operator since the last call, threads added."""
        seconds = np.zeros(self._operators)
        self._library.sparse_profile(self._open_handle(), int(on), seconds.ctypes.data)
        return seconds

    @property
    def memory(self) -> int:
        """Bytes of activations."""
        return int(self._library.sparse_memory(self._open_handle()))

    def close(self) -> None:
        """Let go of memory and threads; safe to call twice."""
        if self._handle and self._process == self._here():
            # A forked child has none of the threads that closing would wait for.
            self._library.sparse_close(self._handle)
        self._handle = None

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self.close()
