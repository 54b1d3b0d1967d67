"""Which layers train in lanes: none, all that are sparse, or what was measured to be faster."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor

from edgetransfer.atomic import write_atomically
from edgetransfer.errors import BackboneError, EngineError, UsageError
from edgetransfer.finetune.lane_layers import LaneLayer, lane_layer
from edgetransfer.finetune.lane_steps import lane_steps
from edgetransfer.finetune.lane_timing import measured_costs, step_seconds
from edgetransfer.finetune.masks import WeightMasks
from edgetransfer.finetune.module import OnnxModule, Step
from edgetransfer.finetune.running import Runner
from edgetransfer.graphs.graph import Graph, dims_of
from edgetransfer.masked import TrainingThreads
from edgetransfer.masked.native import load_training
from edgetransfer.settings.finetune import FinetuneSettings
from edgetransfer.types import Progress
from edgetransfer.untrusted_json import json_value

logger = logging.getLogger(__name__)

SPARSE = 0.75  # of a layer's weights masked, from which on it may pay
GAIN = 0.97  # of torch's time: below that a difference is more than noise
# Multiply-adds of a training in torch, some minutes, from which on it pays to measure first.
WORTH_MEASURING = 1e13


@dataclass(frozen=True, kw_only=True)
class LaneChoice:
    """The layers of a module that train in lanes.

    Parameters
    ----------
    layers
        The tensors that they make; none where torch does all.
    reason
        In words, for the log and the report.
    """

    layers: tuple[str, ...] = ()
    reason: str

    @property
    def record(self) -> dict[str, Any]:
        """For the checkpoint: a run that goes on takes the same choice."""
        return {"layers": list(self.layers), "reason": self.reason}

    @classmethod
    def of_record(cls, record: Mapping[str, Any] | None) -> LaneChoice:
        """Of a run that goes on; one of before there was a choice began in torch."""
        if record is None:
            return cls(reason="begun before there was another engine of training")
        return cls(layers=tuple(record["layers"]), reason=str(record["reason"]))


def check_asked(
    own: FinetuneSettings, model: onnx.ModelProto, masks: WeightMasks, device: torch.device
) -> None:
    """Refuse ``--training-engine sparse`` where it cannot be.

    Raises
    ------
    UsageError
        On a GPU.
    EngineError
        If the native library is not there.
    BackboneError
        If no layer is sparse enough.
    """
    if own.training_engine != "sparse":
        return
    if device.type != "cpu":
        raise UsageError(
            f"--training-engine sparse runs on the CPU, not on {device.type}: add --device cpu"
        )
    load_training()
    trained = {name for node in model.graph.node for name in node.input}
    shares = {name: float(1 - mask.mean()) for name, mask in masks.masks.items() if name in trained}
    if max(shares.values(), default=0.0) < SPARSE:
        most = max(shares, key=lambda name: shares[name], default=None)
        said = "none has a zero" if most is None else f"most has {most}: {shares[most]:.0%}"
        raise BackboneError(
            f"--training-engine sparse wants layers of which {SPARSE:.0%} of the weights are zero, "
            f"and there is none ({said}); leave it out, or use a sparser backbone"
        )


class LaneChooser:
    """Chooses for one module.

    Parameters
    ----------
    module, model
        The module, and the graph that it was made from.
    masks
        Of the weights.
    threads
        That torch has, and the kernels too.
    """

    def __init__(
        self, module: OnnxModule, model: onnx.ModelProto, masks: WeightMasks, threads: int
    ) -> None:
        self._module, self._model, self._masks = module, model, masks
        self._threads = threads

    def sparse_layers(self) -> dict[str, LaneLayer]:
        """Those that are sparse enough, by the tensor that they make."""
        return {name: layer for name, layer in self._layers().items() if layer.masked >= SPARSE}

    def _layers(self) -> dict[str, LaneLayer]:
        graph, threads = Graph(self._model), TrainingThreads.of(self._threads)
        found = {}
        for node in self._model.graph.node:
            layer = lane_layer(node, graph, self._masks.masks, threads)
            if layer is not None and self._module.tensor(layer.name).requires_grad:
                found[layer.output] = layer
        return found

    def steps(self, choice: LaneChoice) -> tuple[Step, ...]:
        """The module's steps for a choice.

        Raises
        ------
        BackboneError
            If it names what the graph does not have.
        """
        if not choice.layers:
            return self._module.steps
        layers = self._layers()
        if not set(choice.layers) <= set(layers):
            raise BackboneError("the run's layers of sparse training are not in its backbone")
        return lane_steps(
            self._module.steps,
            self._model.graph.node,
            self._module.outputs,
            {name: layers[name] for name in choice.layers},
            TrainingThreads.of(self._threads),
        )

    def sparse(self) -> LaneChoice:
        """All that are sparse, measured or not."""
        layers = self.sparse_layers()
        return LaneChoice(layers=tuple(layers), reason=f"{len(layers)} layers, as asked")

    def measured(self, runner: Runner, images: Sequence[Tensor], progress: Progress) -> LaneChoice:
        """What was faster on this machine: layer by layer, then the whole step against torch's."""
        # Depthwise layers between sparse ones may save laying maps anew twice.
        candidates = {
            name: layer
            for name, layer in self._layers().items()
            if layer.masked >= SPARSE or layer.groups > 1
        }
        threads = TrainingThreads.of(self._threads)
        costs = measured_costs(
            runner, self._model.graph.node, candidates, images, threads, progress
        )
        best = costs.best()
        chosen = LaneChoice(layers=tuple(n for n in candidates if n in best), reason="")
        if not chosen.layers:
            return LaneChoice(reason="torch was measured faster in every layer")
        torchs, lanes = step_seconds(runner, [self._module.steps, self.steps(chosen)], images)
        said = f"{len(images[0])} images in {lanes:.2f} s, in torch alone {torchs:.2f} s"
        if lanes > GAIN * torchs:
            return LaneChoice(reason=f"no faster in sparse layers, measured: {said}")
        count = f"{len(chosen.layers)} layers that were measured faster so"
        return LaneChoice(layers=chosen.layers, reason=f"{count}: {said}")


def multiply_adds(model: onnx.ModelProto) -> int:
    """Of one image through the convolutions and fully connected layers of a frozen graph."""
    graph, found = Graph(model), 0
    made = {v.name: dims_of(v) for v in (*model.graph.value_info, *model.graph.output)}
    for node in model.graph.node:
        weights = graph.initializers.get(node.input[1]) if len(node.input) > 1 else None
        if node.op_type in ("Conv", "Gemm") and weights is not None:
            pixels = 1
            for side in made.get(node.output[0], [])[2:]:
                pixels *= side or 1
            count = 1
            for side in weights.dims:
                count *= side
            found += count * pixels
    return found


def kept_choice(path: Path) -> LaneChoice | None:
    """What was measured on this machine before, so that the same training is the same again."""
    try:
        return LaneChoice.of_record(json_value(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or not whole: it is measured anew


def keep_choice(path: Path, choice: LaneChoice) -> None:
    """Keep what was measured; that it cannot be written is no reason to stop."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(choice.record).encode())
    except OSError as error:
        logger.warning("the choice of layers could not be kept in %s: %s", path, error)


def place_of(root: Path, *what: object) -> Path:
    """The file of a choice that depends on these."""
    name = hashlib.sha256(repr(what).encode()).hexdigest()[:32]
    return root / "training-engine" / f"{name}.json"


def library_missing() -> str | None:
    """Why there are no kernels of training here; None if there are."""
    try:
        load_training()
    except EngineError as error:
        return str(error)
    return None
