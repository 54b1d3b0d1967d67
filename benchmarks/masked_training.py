"""What a step of finetuning at fixed masks costs: torch against kernels that pass over zeros.

    python benchmarks/masked_training.py [--backbone resnet50:0.9] [--batchnorm] [--json FILE]

A whole step as `edgetransfer finetune` takes it, of 64 images: forward, backward, masks, SGD. In
turns in one run, so that drift of the machine cancels:

    torch      all in torch, float32
    bfloat16   the same in bfloat16, where the processor has it or with --bfloat16
    sparse     every layer of which 75 % is zero in the project's kernels, the rest in torch
    measured   what --training-engine auto takes (left out where that is one of the two)

Weights and images are random; a mask by magnitude, the first layer dense. One JSON line a backbone
on stdout: wall and processor seconds of each step, and ratios of the medians, torch's over each.
What was chosen by measurement is said on stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import onnx
import torch
from workloads import backbone_of, in_turns, median, report

from edgetransfer.finetune.batchnorm import bare_convolutions, restore
from edgetransfer.finetune.lane_choice import LaneChoice, LaneChooser
from edgetransfer.finetune.masks import WeightMasks
from edgetransfer.finetune.module import OnnxModule
from edgetransfer.finetune.running import Runner, multiplies_bfloat16
from edgetransfer.finetune.solver import FullFinetuner
from edgetransfer.heads import LinearHead, SGDSettings
from edgetransfer.settings.finetune import FinetuneSettings
from edgetransfer.types import no_progress

CLASSES = 101
RATE = 0.001
CPU = torch.device("cpu")


class Contest:
    """One backbone, and a trainer for each way to train it."""

    def __init__(self, model: onnx.ModelProto, size: int, batch: int, micro: int) -> None:
        self._model, self._micro = model, micro
        self._shape = (3, size, size)
        rng = np.random.default_rng(0)
        self._images = rng.standard_normal((batch, 3 * size * size), np.float32)
        self._labels = rng.integers(0, CLASSES, batch)
        self._threads = torch.get_num_threads()
        self._masks = WeightMasks.of(model)

    def measured(self) -> LaneChoice:
        """What ``auto`` takes."""
        module = OnnxModule(self._model)
        images = torch.from_numpy(self._images[: self._micro].reshape(-1, *self._shape))
        runner = Runner(module, CPU, bfloat16=False, checkpointing=False)
        return self._chooser(module).measured(runner, [images], no_progress)

    def sparse(self) -> LaneChoice:
        """Every sparse layer."""
        return self._chooser(OnnxModule(self._model)).sparse()

    def _chooser(self, module: OnnxModule) -> LaneChooser:
        return LaneChooser(module, self._model, self._masks, self._threads)

    def step(self, choice: LaneChoice, *, bfloat16: bool = False) -> Callable[[], object]:
        """A step of a trainer of its own."""
        module = OnnxModule(self._model)
        module.steps = self._chooser(module).steps(choice)
        dimension = int(self._model.graph.output[0].type.tensor_type.shape.dim[1].dim_value)
        solver = FullFinetuner(
            Runner(module, CPU, bfloat16=bfloat16, checkpointing=False),
            [self._shape],
            LinearHead.initial(dimension, tuple(map(str, range(CLASSES))), 0),
            settings=SGDSettings(learning_rate=RATE),
            own=FinetuneSettings(),
            micro_batch=self._micro,
            masks=WeightMasks.of(self._model),
            rates={},
            steps=1,
            seed=0,
        )
        return lambda: solver.step(self._images, self._labels, RATE)


def compare(name: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All contestants on one backbone."""
    backbone = backbone_of(name, folder)
    model = backbone.frozen(options.batch_size)
    if options.batchnorm:
        widths = {t.name: t.dims[0] for t in model.graph.initializer}
        model = restore(
            model,
            {
                weights: (
                    np.zeros(widths[weights], np.float32),
                    np.ones(widths[weights], np.float32),
                )
                for weights in bare_convolutions(model)
            },
        )
    contest = Contest(model, backbone.preprocessing.size, options.batch_size, options.micro_batch)
    choices = {"torch": LaneChoice(reason="torch"), "sparse": contest.sparse()}
    measured = contest.measured()
    print(f"{name}: auto takes {measured.reason}", file=sys.stderr)
    if set(measured.layers) not in [set(choice.layers) for choice in choices.values()]:
        choices["measured"] = measured
    steps = {key: contest.step(choice) for key, choice in choices.items()}
    if options.bfloat16 or multiplies_bfloat16(CPU):
        steps["bfloat16"] = contest.step(choices["torch"], bfloat16=True)
    processor: dict[str, list[float]] = {key: [] for key in steps}

    def timed(key: str) -> Callable[[], float]:
        def measure() -> float:
            start, begun = perf_counter(), process_time()
            steps[key]()
            processor[key].append(process_time() - begun)
            return perf_counter() - start

        return measure

    wall = in_turns({key: timed(key) for key in steps}, options.repeats)
    clocks = {"wall": wall, "processor": {key: found[1:] for key, found in processor.items()}}
    medians = {
        clock: {key: median(found, 3) for key, found in seconds.items()}
        for clock, seconds in clocks.items()
    }
    return {
        "backbone": name,
        "batchnorm": options.batchnorm,
        "batch": options.batch_size,
        "micro_batch": options.micro_batch,
        "threads": torch.get_num_threads(),
        "layers": {key: len(choice.layers) for key, choice in choices.items()},
        "auto": measured.reason,
        "seconds": {
            clock: {key: [round(v, 3) for v in found] for key, found in seconds.items()}
            for clock, seconds in clocks.items()
        },
        "images_per_second": {
            key: round(options.batch_size / value, 2) for key, value in medians["wall"].items()
        },
        "faster_than_torch": {
            clock: {key: round(found["torch"] / value, 3) for key, value in found.items()}
            for clock, found in medians.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--backbone",
        nargs="+",
        default=["resnet50:0.9", "mobilenet_v1:0.75"],
        help="ARCHITECTURE:SPARSITY, FILE:SPARSITY, a file or a name",
    )
    parser.add_argument("--batchnorm", action="store_true", help="put batch-norm back first")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--micro-batch", type=int, default=16, help="images at once")
    parser.add_argument("--bfloat16", action="store_true", help="also where it has no instructions")
    parser.add_argument("--repeats", type=int, default=3, help="turns that count")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, metavar="FILE", help="the lines as one list, too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.backbone:
            found.append(compare(name, options, Path(folder)))
            report("masked_training", **found[-1])
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
