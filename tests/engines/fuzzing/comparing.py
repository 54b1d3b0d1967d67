"""One graph in an engine and, node by node as it stands, in ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from edgetransfer.engines.registry import engine_kind
from edgetransfer.errors import EngineError
from tests.engines.fuzzing.growth import BATCHES
from tests.graphs_made import noise, unoptimised

TOLERANCE = 1e-5


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one graph has shown.

    Parameters
    ----------
    difference
        The largest, in parts of the largest number that the reference gives for any image; as it
        is where all of those are zero; infinite where an output is not finite.
    uneven
        Sizes of batches whose rows have other bits than those of the whole batch.
    refused
        Why the engine does not take it, or None.
    """

    difference: float
    uneven: tuple[int, ...] = ()
    refused: str | None = None

    @property
    def faulty(self) -> bool:
        return not self.difference <= TOLERANCE or bool(self.uneven) or self.refused is not None


def compared(
    model: onnx.ModelProto,
    *,
    engine: str = "sparse",
    seed: int = 0,
    counts: tuple[int, ...] = (*BATCHES, 7),
    threads: int = 1,
) -> Found:
    """Run noise through a graph, whole and in shorter batches."""
    images = noise(
        *(d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim), seed=seed
    )
    try:
        opened = engine_kind(engine).open(model, threads=threads, reason="test")
    except EngineError as error:
        return Found(difference=0, refused=str(error))
    features = opened.run(images)
    uneven = tuple(
        n
        for n in counts
        if n < len(images) and not np.array_equal(opened.run(images[:n]), features[:n])
    )
    opened.close()
    return Found(difference=difference(features, unoptimised(model, images)), uneven=uneven)


def difference(features: np.ndarray, expected: np.ndarray) -> float:
    """See `Found`."""
    assert features.shape == expected.shape
    if not (np.isfinite(expected).all() and np.isfinite(features).all()):
        return float("inf")
    largest = float(np.abs(expected).max())
    apart = float(np.abs(features.astype(np.float64) - expected).max())
    return apart / largest if largest else apart
