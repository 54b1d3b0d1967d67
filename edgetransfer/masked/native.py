"""The native library's part in training at fixed masks: its structures and its threads."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np

from edgetransfer.native.loading import load_native
from edgetransfer.types import Float32Array

LANES = 16


class Walk(ctypes.Structure):
    """Where a convolution looks and writes; as in ``native/src/training/training.h``.

    It holds addresses: ``kept`` are the arrays that must live as long.
    """

    kept: tuple[Any, ...] = ()

    _fields_ = (
        ("input", ctypes.c_void_p),
        ("output", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("in_size", "out_size")),
        *((name, ctypes.c_int64) for name in ("in_block", "in_row", "in_pixel")),
        *((name, ctypes.c_int64) for name in ("out_block", "out_row", "out_pixel")),
        *((name, ctypes.c_int64) for name in ("blocks", "rows", "pixels", "channels")),
        ("starts", ctypes.c_void_p),
        ("offsets", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("weights", "groups")),
        ("values", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        *((name, ctypes.c_float) for name in ("low", "high")),
    )


class Norm(ctypes.Structure):
    """One pass of batch-norm; as in ``native/src/training/training.h``, and ``kept`` as above."""

    kept: tuple[Any, ...] = ()

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("input", "gradient", "output")),
        *((name, ctypes.c_int64) for name in ("blocks", "pixels", "channels", "images")),
        *((name, ctypes.c_void_p) for name in ("mean", "inverse", "scale", "shift")),
        *((name, ctypes.c_void_p) for name in ("first", "second", "origin")),
        *((name, ctypes.c_void_p) for name in ("by_shift", "by_scale")),
        ("rectified", ctypes.c_int64),
        *((name, ctypes.c_float) for name in ("low", "high")),
    )


@cache
def load_training() -> ctypes.CDLL:
    """The native library with the functions of training declared.

    Raises
    ------
    EngineError
        If it is not there, cannot be loaded, or was compiled from other sources.
    """
    library = load_native(walk_bytes=ctypes.sizeof(Walk), norm_bytes=ctypes.sizeof(Norm))
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    library.training_open.restype, library.training_open.argtypes = pointer, [ctypes.c_int]
    for name in (
        "convolve",
        "correlate",
        "moments",
        "normalise",
        "gradient_sums",
        "gradient",
        "let_through",
    ):
        function = getattr(library, f"training_{name}")
        function.restype, function.argtypes = ctypes.c_int, [pointer, pointer]
    for name in ("to_lanes", "from_lanes"):
        function = getattr(library, f"training_{name}")
        function.restype = ctypes.c_int
        function.argtypes = [pointer, pointer, pointer, number, number]
    return library


class TrainingThreads:
    """A pool of threads that the kernels of training run on; `of` shares one a process."""

    def __init__(self, threads: int) -> None:
        self._library = load_training()
        self._handle = self._library.training_open(threads)

    @staticmethod
    @cache
    def of(threads: int) -> TrainingThreads:
        """The process' pool of so many threads; it sleeps between calls, and is never closed."""
        return TrainingThreads(threads)

    def call(self, name: str, record: Walk | Norm) -> None:
        """Run one kernel.

        Raises
        ------
        ValueError
            If sizes do not fit.
        """
        if getattr(self._library, f"training_{name}")(self._handle, ctypes.addressof(record)):
            raise ValueError(f"the sizes of {name} do not fit")

    def to_lanes(self, images: Float32Array) -> Float32Array:
        """(N, …) to (blocks, …, 16): sixteen images a block, zeros where there is none."""
        images = np.ascontiguousarray(images, np.float32)
        blocks = -(-len(images) // LANES)
        out = np.empty((blocks, *images.shape[1:], LANES), np.float32)
        self._library.training_to_lanes(
            self._handle, images.ctypes.data, out.ctypes.data, len(images), images[0].size
        )
        return out

    def from_lanes(self, laned: Float32Array, images: int) -> Float32Array:
        """Back: (blocks, …, 16) to (images, …)."""
        laned = np.ascontiguousarray(laned, np.float32)
        out = np.empty((images, *laned.shape[1:-1]), np.float32)
        self._library.training_from_lanes(
            self._handle, laned.ctypes.data, out.ctypes.data, images, out[0].size
        )
        return out


def address(array: np.ndarray[Any, Any]) -> int:
    """Where a C-contiguous array begins."""
    if not array.flags.c_contiguous:
        raise ValueError("the kernels take C-contiguous arrays")
    return int(array.ctypes.data)
