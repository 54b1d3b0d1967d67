"""SGD steps in the native library, where it was compiled."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import cache

import numpy as np

from edgetransfer.heads.halves import Halves
from edgetransfer.native.loading import native_if_there
from edgetransfer.types import Float32Array, IntArray

COLUMNS = 16  # the native kernels take a multiple of so many
MOST_BATCH = 256
ABANDONED = 1 << 20


class _Step(ctypes.Structure):
    _fields_ = (
        ("features", ctypes.c_void_p),
        ("labels", ctypes.c_void_p),
        ("importance", ctypes.c_void_p),
        ("batch", ctypes.c_int64),
        ("rows", ctypes.c_int64),
        ("columns", ctypes.c_int64),
        ("classes", ctypes.c_int64),
        ("weights", ctypes.c_void_p),
        ("velocity", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("bias_velocity", ctypes.c_void_p),
        ("logits", ctypes.c_void_p),
        ("losses", ctypes.c_void_p),
        ("learning_rate", ctypes.c_float),
        ("momentum", ctypes.c_float),
        ("weight_decay", ctypes.c_float),
    )


@cache
def load_step() -> ctypes._NamedFuncPointer | None:
    """The library's step; None where it was not compiled or cannot be loaded.

    Raises
    ------
    EngineError
        If it was compiled from other sources, so that `_Step` is not what it reads.
    """
    library = native_if_there(
        step_bytes=ctypes.sizeof(_Step),
        step_batch_at=_Step.batch.offset,
        step_weights_at=_Step.weights.offset,
        step_losses_at=_Step.losses.offset,
        step_weight_decay_at=_Step.weight_decay.offset,
        most_batch=MOST_BATCH,
        column_multiple=COLUMNS,
    )
    if library is None:
        return None
    function = library.head_step
    function.restype = ctypes.c_int
    function.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
    return function


class NativeSteps:
    """Steps of one solver; the interpreter's lock is free meanwhile.

    Parameters
    ----------
    state
        ``weights`` (D, K), ``bias`` (K,) and their ``…_velocity``, float32, which are changed in
        place. The rows of the weights and their velocity have room for a multiple of 16 columns.
    """

    def __init__(
        self, function: ctypes._NamedFuncPointer, state: Mapping[str, Float32Array]
    ) -> None:
        self._function = function
        self._kept = state
        weights = state["weights"]
        self._columns = weights.strides[0] // weights.itemsize
        self._step = _Step(
            rows=len(weights),
            columns=self._columns,
            classes=weights.shape[1],
            weights=weights.ctypes.data,
            velocity=state["weights_velocity"].ctypes.data,
            bias=state["bias"].ctypes.data,
            bias_velocity=state["bias_velocity"].ctypes.data,
        )
        self._meeting = ctypes.c_int(0)
        self._logits = self._losses = np.empty(0, np.float32)

    def take(
        self,
        features: Float32Array,
        labels: IntArray,
        importance: Float32Array | None,
        rates: tuple[float, float, float],
        halves: Halves,
    ) -> float:
        """Step down the gradient of (B, D) features, B at most 256; the mean loss before it.

        ``rates`` are learning rate, momentum and weight decay.
        """
        step, batch = self._step, len(labels)
        if features.shape != (batch, step.rows) or not 0 <= labels.min() <= labels.max() < (
            step.classes
        ):
            raise ValueError("features or labels do not fit the head")
        if len(self._losses) != batch:
            self._logits = np.zeros((2, batch, self._columns), np.float32)
            self._losses = np.empty(batch, np.float32)
            step.logits, step.losses = self._logits.ctypes.data, self._losses.ctypes.data
            step.batch = batch
        step.features, step.labels = features.ctypes.data, labels.ctypes.data
        step.importance = None if importance is None else importance.ctypes.data
        step.learning_rate, step.momentum, step.weight_decay = rates
        self._meeting.value = 0
        if halves.threads == 1:
            self._do(0, 1)
        else:
            halves.run(lambda half: self._do(half, 2), self._abandon)
        return float(np.mean(self._losses, dtype=np.float64))

    def _do(self, part: int, parts: int) -> None:
        where, meeting = ctypes.addressof(self._step), ctypes.addressof(self._meeting)
        if self._function(where, part, parts, meeting):
            raise ValueError(f"a batch of {self._step.batch} is more than the library takes")

    def _abandon(self) -> None:
        """Let the other thread go: this one was interrupted before its half."""
        self._meeting.value = ABANDONED


def padded(array: Float32Array, columns: int) -> Float32Array:
    """A copy of (D, K) whose rows have room for more columns, all zero; K of them are shown."""
    wide = np.zeros((len(array), columns), np.float32)
    shown = wide[:, : array.shape[1]]
    shown[...] = array
    return shown
