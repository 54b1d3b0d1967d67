"""Loading the native library, after it has said what it was compiled for."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

from edgetransfer.errors import EngineError
from edgetransfer.native import compiling

# What `native_contract` in src/common/contract.cpp tells, in its order.
TOLD = (
    "plan_version",
    "step_bytes",
    "step_batch_at",
    "step_weights_at",
    "step_losses_at",
    "step_weight_decay_at",
    "most_batch",
    "column_multiple",
    "walk_bytes",
    "norm_bytes",
)


def load_native(**expected: int) -> ctypes.CDLL:
    """The native library, whose numbers are those that the caller was written for.

    Parameters
    ----------
    expected
        Of `TOLD`, those that the caller relies on: sizes and offsets in bytes, limits, versions.

    Raises
    ------
    EngineError
        If it is not there or cannot be loaded; or if it is of another version: called, it would
        read and write at the wrong places.
    """
    absent = compiling.why_absent()
    if absent is not None:
        raise EngineError(absent)
    try:
        library = ctypes.CDLL(str(compiling.LIBRARY))
    except OSError as error:
        raise EngineError(
            f"{compiling.LIBRARY} cannot be loaded: {error}; install edgetransfer again"
        ) from error
    return _agreed(library, expected)


def native_if_there(**expected: int) -> ctypes.CDLL | None:
    """As `load_native`; None, for those who do without, if it is not there or cannot be loaded."""
    try:
        library = ctypes.CDLL(str(compiling.LIBRARY))
    except OSError:
        return None
    return _agreed(library, expected)


def _agreed(library: ctypes.CDLL, expected: Mapping[str, int]) -> ctypes.CDLL:
    told = _read_contract(library)
    for name, value in expected.items():
        if told.get(name) != value:
            raise EngineError(
                f"{compiling.LIBRARY} was compiled from other sources than this edgetransfer's "
                f"({name.replace('_', ' ')} is {told.get(name, 'not told')}, and must be {value}): "
                "run python -m edgetransfer.native.compiling"
            )
    return library


def _read_contract(library: ctypes.CDLL) -> dict[str, int]:
    try:
        tell = library.native_contract
    except AttributeError:  # from before there was one
        return {}
    tell.restype, tell.argtypes = ctypes.c_int64, (ctypes.c_void_p, ctypes.c_int64)
    numbers = (ctypes.c_int64 * len(TOLD))()
    # New numbers are added at the end: a library of before them lacks these alone.
    count = tell(numbers, len(TOLD))
    return dict(zip(TOLD[:count], numbers, strict=False))
