"""The proof that a network whose built-in batch was opened keeps pictures apart."""

from __future__ import annotations

import numpy as np
import onnx

from edgetransfer.errors import BackboneError
from edgetransfer.graphs.freeze import freeze
from edgetransfer.graphs.graph import Array, dims_of
from edgetransfer.graphs.untrusted import one_line

TOLERANCE = 1e-4  # of the largest feature: sums of other orders, not other pictures


def pictures_stay_apart(body: onnx.ModelProto, size: int) -> bool:
    """Whether two batches at once make the features that each makes alone.

    Both are run in ONNX Runtime on seeded noise: once with the batch that is built in (1 where
    the input is open), once with twice as many.

    Raises
    ------
    BackboneError
        If the graph cannot take one of the two, or ONNX Runtime cannot run it.
    """
    alone = dims_of(body.graph.input[0])[0] or 1
    images = np.random.default_rng(0).standard_normal((2 * alone, 3, size, size), np.float32)
    single, double = (freeze(body, batch_size=n, size=size) for n in (alone, 2 * alone))
    expected = np.concatenate([_run(single, images[:alone]), _run(single, images[alone:])])
    found = _run(double, images)
    largest = float(np.abs(expected).max())
    return found.shape == expected.shape and bool(
        np.abs(found - expected).max() <= TOLERANCE * largest
    )


def _run(model: onnx.ModelProto, images: Array) -> Array:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return np.asarray(session.run(None, {model.graph.input[0].name: images})[0])
    except Exception as error:
        raise BackboneError(
            "a batch is built into the graph, and ONNX Runtime cannot run it with another one "
            f"({one_line(error)}); export it with an open batch"
        ) from error
