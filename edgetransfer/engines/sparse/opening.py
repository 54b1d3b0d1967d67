"""Whether the sparse engine is there, and opening it; loads nothing before that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from edgetransfer import compiling

if TYPE_CHECKING:
    from edgetransfer.engines.sparse.engine import SparseEngine


def why_absent() -> str | None:
    """Why the native library is not there and what mends it, or None if it is; loads nothing."""
    if compiling.LIBRARY.exists():
        return None
    found = compiling.find_compiler()
    first = "" if found else "install a C++ compiler (g++ or clang++), then "
    return (
        "the sparse engine's native library was not compiled when edgetransfer was installed: "
        f"{first}run python -m edgetransfer.compiling"
    )


def describe() -> dict[str, str | None]:
    """``absent``, why it is, or None; ``kernels``: ``avx512``, ``avx2``, ``portable`` or None."""
    absent = why_absent()
    if absent is not None:
        return {"absent": absent, "kernels": None}
    from edgetransfer.engines.sparse.library import instruction_set

    return {"absent": None, "kernels": instruction_set()}


def open_sparse(model: onnx.ModelProto, *, threads: int | None, reason: str) -> SparseEngine:
    """Open a frozen backbone in the sparse engine; see `SparseEngine`."""
    from edgetransfer.engines.sparse.engine import SparseEngine

    return SparseEngine(model, threads=threads, reason=reason)
