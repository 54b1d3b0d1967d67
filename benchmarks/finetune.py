"""What a step of finetuning costs, against plain torch and against parts of itself.

    python benchmarks/finetune.py [--backbone B] [--sparsity S] [--from-layer NAME] [--repeats N]

Variants, one step of 64 images each, in turns in one run so that drift of the machine cancels:

    eager       the same graph in torch as people write it: float32, contiguous, whole batch
    default     what `edgetransfer finetune` does
    unmasked    the same without masks
    partial     the frozen part in the sparse engine, the rest from --from-layer on in torch
    cached      the same with the frozen part's output at hand (--cached-frozen)

The images are random and ready: decoding is the same for all, and runs beside. Results are JSON on
stdout: seconds of each step, images a second, and the ratios of the medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import onnx
import torch

from edgetransfer.backbones import Backbone
from edgetransfer.defaults import DEFAULT_BACKBONE
from edgetransfer.engines import open_engine
from edgetransfer.finetune.masks import WeightMasks
from edgetransfer.finetune.module import OnnxModule
from edgetransfer.finetune.partition import last_block, partition
from edgetransfer.finetune.running import Runner, multiplies_bfloat16
from edgetransfer.finetune.settings import FinetuneSettings
from edgetransfer.finetune.solver import FullFinetuner
from edgetransfer.graphs.pruning import prune_by_magnitude
from edgetransfer.heads import LinearHead, SGDSettings

BATCH, CLASSES = 64, 101
SGD = {"lr": 0.001, "momentum": 0.9, "weight_decay": 5e-4}
Step = Callable[[], object]


def finetuner(
    model: onnx.ModelProto, shapes: list[tuple[int, ...]], *, masked: bool
) -> FullFinetuner:
    """The trainer as `edgetransfer finetune` sets it up."""
    cpu = torch.device("cpu")
    module = OnnxModule(model)
    dimension = int(model.graph.output[0].type.tensor_type.shape.dim[1].dim_value)
    return FullFinetuner(
        Runner(module, cpu, bfloat16=multiplies_bfloat16(cpu), checkpointing=False),
        shapes,
        LinearHead.initial(dimension, tuple(map(str, range(CLASSES))), 0),
        settings=SGDSettings(learning_rate=SGD["lr"]),
        own=FinetuneSettings(),
        micro_batch=16,
        masks=WeightMasks.of(model) if masked else WeightMasks({}),
        rates={},
        steps=1,
        seed=0,
    )


def eager_step(model: onnx.ModelProto, images: np.ndarray, labels: np.ndarray) -> Step:
    """A training step in plain torch."""
    module = OnnxModule(model).train()
    head = torch.nn.Linear(model.graph.output[0].type.tensor_type.shape.dim[1].dim_value, CLASSES)
    optimizer = torch.optim.SGD([*module.parameters(), *head.parameters()], **SGD)
    x, y = torch.from_numpy(images), torch.from_numpy(labels)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(head(module(x)), y).backward()
        optimizer.step()

    return step


def variants(backbone: Backbone, sparsity: float | None, from_layer: str | None) -> dict[str, Step]:
    model = backbone.frozen(BATCH)
    if sparsity is not None:
        model = prune_by_magnitude(model, sparsity)
    size = backbone.preprocessing.size
    rng = np.random.default_rng(0)
    images = rng.standard_normal((BATCH, 3, size, size), np.float32)
    labels = rng.integers(0, CLASSES, BATCH)
    flat = images.reshape(BATCH, -1)
    parts = partition(model, from_layer or last_block(model))
    assert parts.frozen is not None
    frozen = open_engine(parts.frozen, threads=torch.get_num_threads())
    print(f"frozen part: {frozen.choice}", file=sys.stderr)
    ready = frozen.run(images)
    default = finetuner(model, [(3, size, size)], masked=True)
    unmasked = finetuner(model, [(3, size, size)], masked=False)
    rest = finetuner(parts.trained, list(parts.shapes), masked=True)
    return {
        "eager": eager_step(model, images, labels),
        "default": lambda: default.step(flat, labels, SGD["lr"]),
        "unmasked": lambda: unmasked.step(flat, labels, SGD["lr"]),
        "partial": lambda: rest.step(frozen.run(images), labels, SGD["lr"]),
        "cached": lambda: rest.step(ready, labels, SGD["lr"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default=DEFAULT_BACKBONE)
    parser.add_argument("--sparsity", type=float, help="prune by magnitude first")
    parser.add_argument("--from-layer", help="of the partial variants; the last block if not given")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    steps = variants(Backbone.open(options.backbone), options.sparsity, options.from_layer)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(options.repeats + 1):
        # Whatever follows the large eager step pays for its memory: there and back evens that out.
        order = list(steps.items())
        for name, step in order if turn % 2 else reversed(order):
            start = perf_counter()
            step()
            if turn:  # the first one warms up
                seconds[name].append(perf_counter() - start)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    result = {
        "backbone": Path(options.backbone).name,
        "threads": options.threads,
        "seconds": {name: [round(v, 4) for v in values] for name, values in seconds.items()},
        "images_per_second": {name: round(BATCH / value, 1) for name, value in median.items()},
        "ratios": {
            "masked step over unmasked": round(median["default"] / median["unmasked"], 3),
            "default speed over eager": round(median["eager"] / median["default"], 2),
            "partial speed over full": round(median["default"] / median["partial"], 2),
            "cached speed over full": round(median["default"] / median["cached"], 2),
        },
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
