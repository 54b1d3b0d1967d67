"""Which quantised forms of a sparse ResNet50 DeepSparse accelerates, and whether any is worth it.

    python benchmarks/int8.py [--sparsity 0.5,0.9] [--forms qdq,…]

Each form is made from the same pruned float graph (see quantising.py) and runs in a process of its
own, which a bad graph may end:

``float32``          the graph as it is
``qdq``              QuantizeLinear / DequantizeLinear around float operators, one scale a tensor
``qdq-channel``      the same with one scale a filter
``qlinear``          QLinearConv with one scale a filter; residual adds and pooling quantised too
``qlinear-float``    QLinearConv; residual adds and pooling in float between de- and requantising
``convinteger``      ConvInteger, int32 bias, cast, one fused rescale; adds and pooling in float
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import onnx
from quantising import FORMS, quantise
from workloads import report

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.architectures import synthetic

BATCH = 16
SECONDS, LIMIT = 3.0, 240


def child(path: str) -> None:
    """Compile and time one graph; one JSON line."""
    from edgetransfer.engines.deepsparse_engine import DeepSparseEngine

    engine = DeepSparseEngine(onnx.load(path), threads=None, reason="measured")
    images = np.random.default_rng(0).standard_normal(engine.input_shape, np.float32)
    engine.run(images)
    done, start = 0, perf_counter()
    while done < 2 or perf_counter() - start < SECONDS:
        engine.run(images)
        done += 1
    speed = done * BATCH / (perf_counter() - start)
    print(json.dumps({"speed": speed, "compiled": engine.supported_fraction}))


def measured(path: Path) -> dict[str, object]:
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--child", str(path)],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        found = json.loads(done.stdout.strip().splitlines()[-1])
        return {
            "images_per_second": round(found["speed"], 1),
            "compiled_share_of_operators": round(found["compiled"], 3),
        }
    except subprocess.TimeoutExpired:
        return {"failed": f"not done in {LIMIT} s"}
    except (ValueError, IndexError):
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return {"failed": lines[-1][-200:]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sparsity", default="0.5,0.9")
    parser.add_argument("--forms", default=",".join(("float32", *FORMS)))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for sparsity in map(float, args.sparsity.split(",")):
            source = folder / "source.onnx"
            onnx.save(synthetic("resnet50", sparsity=sparsity), str(source))
            frozen = Backbone.open(str(source)).frozen(BATCH)
            for name in args.forms.split(","):
                path = folder / f"{name}-{sparsity}.onnx"
                try:
                    form = frozen if name == "float32" else quantise(frozen, name)
                    onnx.save(form, str(path))
                    found = measured(path)
                except Exception as error:
                    found = {"failed": f"{type(error).__name__}: {str(error)[:200]}"}
                report("int8", sparsity=sparsity, form=name, batch_size=BATCH, **found)


if __name__ == "__main__":
    main()
