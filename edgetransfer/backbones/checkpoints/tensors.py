"""Tensors of a checkpoint that are not read before they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgetransfer.graphs.graph import Array

ByteOrder = Literal["<", ">"]
BFLOAT16 = "bfloat16"  # numpy has no such type
STORAGE_TYPES: dict[str, str] = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


def item_size(kind: str) -> int:
    """Bytes of one value of a type named as in `STORAGE_TYPES`."""
    return 2 if kind == BFLOAT16 else np.dtype(kind).itemsize


def values_of(content: bytes, kind: str, byte_order: ByteOrder = "<") -> Array:
    """Bytes as a flat array; bfloat16 becomes float32."""
    if kind != BFLOAT16:
        return np.frombuffer(content, np.dtype(kind).newbyteorder(byte_order))
    halves: NDArray[np.uint16] = np.frombuffer(content, np.dtype("u2").newbyteorder(byte_order))
    return (halves.astype(np.uint32) << 16).view(np.float32)


@dataclass(frozen=True, kw_only=True)
class Storage:
    """A flat run of values in a checkpoint, which several tensors may share."""

    read: Callable[[], bytes]
    kind: str
    count: int
    byte_order: ByteOrder = "<"


@dataclass(frozen=True, kw_only=True)
class LazyTensor:
    """A view of a `Storage`: offset, shape and strides, in values."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        numbers = (self.offset, *self.shape, *self.strides)
        if len(self.shape) != len(self.strides) or any(
            not isinstance(n, int) or n < 0 for n in numbers
        ):
            raise ValueError("a tensor's shape and strides do not fit together")
        last = sum((d - 1) * s for d, s in zip(self.shape, self.strides, strict=True))
        size = int(np.prod(self.shape, dtype=object)) if self.shape else 1
        if size and (self.offset + last >= self.storage.count or size > self.storage.count):
            raise ValueError("a tensor reaches beyond its storage")

    def array(self) -> Array:
        """Its values, as an array of its own."""
        values = values_of(self.storage.read(), self.storage.kind, self.storage.byte_order)
        if len(values) < self.storage.count:
            raise ValueError("a storage is shorter than it says; the file is incomplete")
        step = values.itemsize
        view = np.lib.stride_tricks.as_strided(
            values[self.offset :], self.shape, [step * s for s in self.strides], writeable=False
        )
        return np.array(view, view.dtype.newbyteorder("="))
