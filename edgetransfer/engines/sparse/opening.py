"""Whether the sparse engine is there, and opening it; loads nothing before that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx

from edgetransfer.engines.protocol import Engine, LayerTime
from edgetransfer.native.compiling import why_absent as why_absent

if TYPE_CHECKING:
    from edgetransfer.engines.sparse.engine import SparseEngine

FUSED = ("avx2", "avx512")
"""Kernels that add in one order by fused multiply-adds; tests compare their bits."""


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


def layer_times(
    model: onnx.ModelProto, engine: Engine, *, threads: int | None
) -> tuple[LayerTime, ...]:
    """Time the operators of a frozen backbone that runs in the sparse engine; one run's shares."""
    from edgetransfer.engines.sparse.engine import SparseEngine

    del threads  # those of the engine
    if not isinstance(engine, SparseEngine):
        return ()
    made = {node.name: node.output[0] for node in model.graph.node if node.name}
    images = np.random.default_rng(0).standard_normal(engine.input_shape, np.float32)
    engine.session.profile(on=True)
    engine.run(images)
    seconds = engine.session.profile(on=False)
    total = float(seconds.sum()) or 1.0
    return tuple(
        LayerTime(
            tensors=(made[operator.name],) if operator.name in made else (),
            share=float(taken) / total,
        )
        for operator, taken in zip(engine.plan.operators, seconds, strict=True)
    )


def bits_of() -> str:
    """Empty with AVX2 and AVX-512, whose kernels give the same bits; else which others these are.

    Without fused multiply-adds a product is rounded before it is added.
    """
    import platform

    from edgetransfer.engines.sparse.library import instruction_set

    name = instruction_set()
    return "" if name in FUSED else f"{name} {platform.machine()}"
