"""The child's side of a trial: compile, run once, compare, answer in JSON.

python -m edgetransfer.engines.trial FROZEN.onnx THREADS ENGINE
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import onnx

from edgetransfer.engines.agreement import allowed_difference, difference_from_reference
from edgetransfer.engines.protocol import Engine
from edgetransfer.engines.registry import engine_kind
from edgetransfer.errors import EngineError


def judge(model: onnx.ModelProto, engine: Engine) -> dict[str, Any]:
    """Whether an engine computes what the graph says, and a sentence about it.

    The keys are those of `edgetransfer.engines.probe.ProbeResult`.
    """
    images = np.random.default_rng(0).standard_normal(engine.input_shape, np.float32)
    features = engine.run(images)
    if not np.isfinite(features).all():
        return {"works": False, "detail": "its features are not finite"}
    difference = difference_from_reference(model, images, features)
    allowed = allowed_difference(model)
    if difference is None:
        return {
            "works": False,
            "detail": "ONNX Runtime cannot run the graph: nothing says whether its features "
            "are right",
        }
    if not difference <= allowed:
        return {
            "works": False,
            "detail": f"its features differ by {difference:.2%} from the graph's own (unoptimised "
            f"ONNX Runtime; {allowed:.2%} are allowed)",
        }
    share = getattr(engine, "supported_fraction", 1.0)
    compiled = "all operators are compiled"
    if share < 1:
        compiled = f"{share:.0%} of operators are compiled, the others run slowly"
    return {"works": True, "detail": compiled}


def main(arguments: list[str]) -> None:
    """Answer on the last line of stdout."""
    path, threads, name = arguments
    model = onnx.load(path)
    try:
        engine = engine_kind(name).open(model, threads=int(threads) or None, reason="trial")
        answer = judge(model, engine)
    except EngineError as error:
        answer = {"works": False, "detail": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1:])
