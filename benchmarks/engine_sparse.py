"""The sparse engine beside its rivals: images a second, and multiply-adds a second by layer.

    python benchmarks/engine_sparse.py [--architectures resnet50 mobilenet_v1]
        [--sparsities 0.5 0.75 0.8 0.9 0.95 0.98] [--batches 1 16 64] [--threads 1 2]
        [--engines sparse deepsparse onnxruntime openvino] [--layers] [--repeats 5]

The weights are random and pruned by magnitude layer by layer, all but the first convolution: a
time does not depend on their values. The engines of one case run in turns, and the best of each
one's turns counts, so that drift of the machine meets all alike. What cannot be had is named.
LiteRT is not among them: nothing here makes its files of ONNX graphs. Results are JSON lines on
stdout; a table of ratios for people on stderr.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.architectures import synthetic
from edgetransfer.engines import Engine
from edgetransfer.engines.registry import engine_kind
from edgetransfer.engines.sparse.engine import SparseEngine
from edgetransfer.engines.sparse.library import measured_peak
from edgetransfer.errors import EngineError

RIVALS = ("sparse", "deepsparse", "onnxruntime", "openvino")


def opened(name: str, model: onnx.ModelProto, threads: int) -> tuple[Engine, float, int]:
    """An engine, the seconds it took to open, and the bytes that it took."""
    kind = engine_kind(name)
    absent = kind.why_absent()
    if absent is not None:
        raise EngineError(absent)
    before, start = psutil.Process().memory_info().rss, time.perf_counter()
    engine = kind.open(model, threads=threads, reason="benchmark")
    seconds = time.perf_counter() - start
    engine.run(noise(engine))
    return engine, seconds, psutil.Process().memory_info().rss - before


def noise(engine: Engine) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(engine.input_shape, np.float32)


def side_by_side(
    model: onnx.ModelProto, names: list[str], threads: int, repeats: int
) -> dict[str, dict[str, Any]]:
    """The best images a second of each engine, over turns; or why there is none."""
    engines: dict[str, Engine] = {}
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        try:
            engines[name], seconds, memory = opened(name, model, threads)
        except EngineError as error:
            found[name] = {"absent": str(error)}
            continue
        found[name] = {"load_seconds": round(seconds, 3), "megabytes": memory >> 20}
    best = dict.fromkeys(engines, 0.0)
    for _ in range(repeats):
        for name, engine in engines.items():
            images = noise(engine)
            start = time.perf_counter()
            engine.run(images)
            best[name] = max(best[name], len(images) / (time.perf_counter() - start))
    for name, engine in engines.items():
        found[name]["images_per_second"] = round(best[name], 1)
        engine.close()
    return found


def layers(model: onnx.ModelProto, peak: float) -> list[dict[str, Any]]:
    """What each layer of the sparse engine takes and does on one core."""
    engine = SparseEngine(model, threads=1, reason="benchmark")
    images = noise(engine)
    engine.run(images)
    seconds = np.full(len(engine.plan.operators), np.inf)
    for _ in range(3):
        engine.session.profile(on=True)
        engine.run(images)
        seconds = np.minimum(seconds, engine.session.profile(on=False))
    rows = []
    records = zip(engine.plan.operators, engine.session.describe(), seconds, strict=True)
    for operator, record, spent in records:
        _, height, width = engine.plan.shapes[operator.out]
        rate = record.weights * height * width * len(images) / spent
        rows.append(
            {
                "kind": operator.kind.name.lower(),
                "in": engine.plan.shapes[operator.source],
                "out": engine.plan.shapes[operator.out],
                "kernel": operator.window.kernel,
                "form": record.form,
                "weights": record.weights,
                "code_bytes": record.code_bytes,
                "milliseconds_per_image": round(spent / len(images) * 1e3, 4),
                "useful_multiply_adds_per_second": round(rate),
                "share_of_peak": round(rate / peak, 3),
            }
        )
    engine.close()
    return rows


def say(case: dict[str, Any]) -> None:
    own = case["engines"].get("sparse", {}).get("images_per_second", 0.0)
    parts = []
    for name, result in case["engines"].items():
        speed = result.get("images_per_second")
        ratio = f" ({own / speed:.2f}x)" if speed and own and name != "sparse" else ""
        parts.append(f"{name} {speed:.1f}{ratio}" if speed else f"{name} -")
    title = f"{case['architecture']} {case['sparsity']:.0%}, batch {case['batch']}"
    print(f"{title}, {case['threads']} threads: {', '.join(parts)}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--architectures", nargs="+", default=["resnet50", "mobilenet_v1"])
    parser.add_argument(
        "--sparsities", nargs="+", type=float, default=[0.5, 0.75, 0.8, 0.9, 0.95, 0.98]
    )
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 16, 64])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--engines", nargs="+", default=list(RIVALS), choices=RIVALS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--layers", action="store_true", help="each layer on one core too")
    args = parser.parse_args()
    peak = measured_peak()
    print(f"peak: {peak / 1e9:.1f} billion multiply-adds a second and core", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        for architecture, sparsity in itertools.product(args.architectures, args.sparsities):
            path = Path(folder) / f"{architecture}-{sparsity}.onnx"
            onnx.save(synthetic(architecture, sparsity=sparsity), str(path))
            backbone = Backbone.open(path)
            for batch, threads in itertools.product(args.batches, args.threads):
                model = backbone.frozen(batch)
                case = {
                    "architecture": architecture, "sparsity": sparsity, "batch": batch,
                    "threads": threads,
                    "engines": side_by_side(model, args.engines, threads, args.repeats),
                }  # fmt: skip
                say(case)
                print(json.dumps(case), flush=True)
            if args.layers:
                found = layers(backbone.frozen(max(args.batches)), peak)
                case = {"architecture": architecture, "sparsity": sparsity, "peak": round(peak)}
                print(json.dumps({**case, "layers": found}), flush=True)


if __name__ == "__main__":
    main()
