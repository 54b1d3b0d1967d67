"""Engines side by side on the same backbones: images a second of the forward pass alone.

    python benchmarks/engines.py [--backbone B …] [--repeats N]

Contestants: every engine of the registry that can be had here; OpenVINO on the backbone quantised
to int8 (quantising.py: for speed alone); torch eager.
OpenVINO's sparse weights and torch's sparse layouts have no convolutions, so both run dense.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import onnx
from peers import torch_module
from quantising import quantise
from workloads import backbone_of, in_turns, median, report

from edgetransfer.backbones import Backbone
from edgetransfer.engines import KINDS, Engine, available_cores, open_engine
from edgetransfer.errors import EngineError

BATCH = 64
SECONDS = 1.5


def speed_of(run: Callable[[], object]) -> Callable[[], float]:
    def measure() -> float:
        done, start = 0, perf_counter()
        while done < 2 or perf_counter() - start < SECONDS:
            run()
            done += 1
        return done * BATCH / (perf_counter() - start)

    return measure


def contestants(backbone: Backbone) -> tuple[dict[str, Callable[[], float]], dict]:
    frozen = backbone.frozen(BATCH)
    shape = (BATCH, 3, backbone.preprocessing.size, backbone.preprocessing.size)
    images = np.random.default_rng(0).standard_normal(shape, np.float32)
    found: dict[str, Callable[[], float]] = {}
    absent: dict[str, str] = {}

    def add(name: str, model: onnx.ModelProto, engine: str) -> None:
        try:
            opened: Engine = open_engine(model, engine=engine)
        except EngineError as error:
            absent[name] = str(error)
            return
        found[name] = speed_of(lambda: opened.run(images))

    for kind in KINDS:
        add(kind.name, frozen, kind.name)
    int8 = quantise(frozen)
    for name in ("openvino", "onnxruntime"):
        add(f"{name}-int8", int8, name)
    module = torch_module(frozen)
    if module is None:
        absent["torch"] = "torch is not installed"
    else:
        import torch

        torch.set_num_threads(available_cores())
        tensor = torch.from_numpy(images)
        found["torch"] = speed_of(lambda: module(tensor))
    return found, absent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backbone", action="append", help="as in pipeline.py")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for name in args.backbone or ["resnet50:0", "resnet50:0.9"]:
            backbone = backbone_of(name, Path(temporary))
            found, absent = contestants(backbone)
            speeds = in_turns(found, args.repeats)
            for contestant, reason in absent.items():
                print(f"{contestant}: {reason}", file=sys.stderr)
            report(
                "engines",
                backbone=name,
                batch_size=BATCH,
                images_per_second={who: median(values) for who, values in speeds.items()},
                absent=absent,
            )


if __name__ == "__main__":
    main()
