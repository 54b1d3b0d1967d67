"""What layers and whole steps cost on this machine, in torch and in lanes, measured in turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor

from edgetransfer.finetune.lane_costs import LaneCosts
from edgetransfer.finetune.lane_layers import LaneLayer
from edgetransfer.finetune.laned import Laned, from_lanes, to_lanes
from edgetransfer.finetune.module import OnnxModule, Step
from edgetransfer.finetune.running import Runner
from edgetransfer.masked import TrainingThreads
from edgetransfer.types import Progress

TURNS = 2  # that count, after one that does not
CONVERTED = 1 << 20  # numbers, to tell what laying one anew costs


def measured_costs(
    runner: Runner,
    nodes: Sequence[onnx.NodeProto],
    layers: Mapping[str, LaneLayer],
    images: Sequence[Tensor],
    threads: TrainingThreads,
    progress: Progress,
) -> LaneCosts:
    """Forward and backward of each layer alone, on random maps of its size.

    Parameters
    ----------
    runner
        Of the module, whose steps are torch's.
    layers
        What may run in lanes.
    images
        Of one micro-batch: inputs of the module.
    """
    module = runner.module
    inputs, numbers = _sizes(runner, layers, images)
    by_output = {step.outputs[0]: step for step in module.steps}
    found = {}
    for index, (name, layer) in enumerate(layers.items()):
        progress("measuring layers", index, len(layers))
        found[name] = _layer_seconds(
            module, by_output[name], layer, inputs[name], runner.bfloat16, threads
        )
    progress("measuring layers", len(layers), len(layers))
    return LaneCosts(
        nodes=nodes,
        outputs=module.outputs,
        layers=found,
        numbers=numbers,
        a_number=_seconds_a_number(len(images[0]), threads),
    )


def step_seconds(
    runner: Runner, contestants: Sequence[tuple[Step, ...]], images: Sequence[Tensor]
) -> list[float]:
    """Forward and backward of the whole module for each of some lists of steps."""
    module, before = runner.module, runner.module.steps

    def measure(steps: tuple[Step, ...]) -> Callable[[], None]:
        def run() -> None:
            module.steps = steps
            runner(images).square().mean().backward()
            module.zero_grad(set_to_none=True)

        return run

    module.train()
    try:
        with module.recomputing():  # batch-norm learns nothing from it
            return _least([measure(steps) for steps in contestants])
    finally:
        module.steps = before


def _least(contestants: Sequence[Callable[[], Any]]) -> list[float]:
    """The shortest of some turns, after one that does not count."""
    seconds: list[list[float]] = [[] for _ in contestants]
    for turn in range(TURNS + 1):
        for run, found in zip(contestants, seconds, strict=True):
            start = perf_counter()
            run()
            if turn:
                found.append(perf_counter() - start)
    return [min(found) for found in seconds]


def _sizes(
    runner: Runner, layers: Mapping[str, LaneLayer], images: Sequence[Tensor]
) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
    """Shapes of what goes into each layer, and how many numbers each tensor has."""
    module, before = runner.module, runner.module.steps
    shapes: dict[str, tuple[int, ...]] = {}
    numbers = {name: x.numel() for name, x in zip(module.inputs, images, strict=True)}

    def watched(step: Step) -> Step:
        def call(*tensors: Tensor, **given: Any) -> Any:
            found = step.call(*tensors, **given)
            every = found if isinstance(found, tuple) else (found,)
            for name, x in zip(step.outputs, every, strict=True):
                numbers[name] = x.numel()
            if step.outputs[0] in layers:
                shapes[step.outputs[0]] = tuple(tensors[0].shape)
            return found

        return replace(step, call=call)

    module.steps = tuple(watched(step) for step in before)
    try:
        with torch.no_grad(), module.recomputing():
            runner(images)
    finally:
        module.steps = before
    return shapes, numbers


def _layer_seconds(
    module: OnnxModule,
    step: Step,
    layer: LaneLayer,
    shape: tuple[int, ...],
    bfloat16: bool,
    threads: TrainingThreads,
) -> tuple[float, float]:
    parameters = [module.tensor(name) for name in step.inputs[1:]]
    x = torch.from_numpy(np.random.default_rng(0).standard_normal(shape, np.float32))
    if x.ndim == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    laned = to_lanes(x, threads)
    wanted = step.inputs[0] not in module.inputs  # images get no gradient
    x.requires_grad_(wanted)
    laned.map.requires_grad_(wanted)

    def in_torch() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            y = step.call(x, *parameters)
        assert isinstance(y, Tensor)
        y.backward(torch.ones_like(y))

    def in_lanes() -> None:
        y = layer(laned, *parameters).map
        y.backward(torch.ones_like(y))

    try:
        first, second = _least([in_torch, in_lanes])
    finally:
        module.zero_grad(set_to_none=True)
    return first, second


def _seconds_a_number(images: int, threads: TrainingThreads) -> float:
    """To lay a map in lanes or back, and its gradient the other way; of a number of an image."""
    blocks = -(-images // 16)
    channels = max(1, CONVERTED // (16 * blocks * 64))
    x = torch.zeros(images, channels, 8, 8).contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    laned = Laned(torch.zeros(blocks, 8, 8, channels, 16, requires_grad=True), images)

    def there() -> None:
        y = to_lanes(x, threads).map
        y.backward(torch.ones_like(y))

    def back() -> None:
        y = from_lanes(laned, threads)
        y.backward(torch.ones_like(y))

    return sum(_least([there, back])) / 2 / x.numel()
