"""Training what is left of a pruned backbone to reproduce its dense parent's features.

No labels and no head: the loss is the squared error at the feature tensor and at a few tensors
inside, each relative to the dense tensor's own variation. The zeros stay where they are; weights,
biases and batch-norm's scale and shift are trained by Adam, whose learning rate falls along a
cosine to zero when the time is up. What suits a network that lost much undoes what a good
reconstruction has: where held-out features went further away, training goes back to the best state
and on at a quarter of the rate. Where the processor multiplies bfloat16, layers compute in it
while training, which fits more steps into the time; weights, sums of gradients and what is judged
on held-out photos stay float32.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import onnx
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from edgetransfer.atomic import write_atomically
from edgetransfer.errors import EdgeTransferError
from edgetransfer.finetune.masks import WeightMasks
from edgetransfer.finetune.module import OnnxModule
from edgetransfer.finetune.running import multiplies_bfloat16
from edgetransfer.graphs.graph import Array
from edgetransfer.types import Float32Array, Progress, no_progress

logger = logging.getLogger(__name__)

LEARNING_RATE = 4e-4
WARM_UP = 20  # steps until the whole rate: Adam's first ones are as long as the rate, whatever the
# gradients, and the reconstruction that it starts from is better than what they lead to
INNER_WEIGHT = 0.3  # of the inner tensors together, against the features' 1
CHECKS = 16  # how often the held-out photos are looked at
WORSE = 1.01  # times the least error so far: what a rate may lead to for a while
STEP_BACK = 0.25  # of the rate, after it led further away
CHECKPOINT = "refine.safetensors"

Batches = Callable[[int], Iterator[Float32Array]]
"""From the number of the first batch on, endless batches of (n, 3, S, S) views."""


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """What came of it.

    Parameters
    ----------
    values
        The initializers of the best state by name, by the held-out photos.
    steps, images
        How many steps were taken on how many views.
    before, after
        The relative squared error of held-out features at the start and of the best state.
    """

    values: dict[str, Array]
    steps: int
    images: int
    before: float
    after: float


def distill(
    dense: onnx.ModelProto,
    sparse: onnx.ModelProto,
    batches: Batches,
    held_out: Sequence[Float32Array],
    *,
    minutes: float,
    inner: Sequence[str] = (),
    folder: Path | None = None,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> Distillation:
    """Train for so many minutes; goes on from a checkpoint in ``folder`` if there is one.

    How far a machine comes in that time is its own affair, so results differ between machines
    and from run to run; nothing else is random beyond ``batches``.

    Parameters
    ----------
    dense, sparse
        Frozen backbones with the same tensors; masked are the zeros of ``sparse``.
    held_out
        Batches of views that the best state is chosen by.
    inner
        Tensors inside that are compared beside the features.
    folder
        Where checkpoints are kept.

    Raises
    ------
    BackboneError
        If an operator of the graph has no translation to torch.
    EdgeTransferError
        If the checkpoint cannot be read.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    return _Training(dense, sparse, batches, held_out, minutes, inner, folder, progress).run()


class _Training:
    def __init__(
        self,
        dense: onnx.ModelProto,
        sparse: onnx.ModelProto,
        batches: Batches,
        held_out: Sequence[Float32Array],
        minutes: float,
        inner: Sequence[str],
        folder: Path | None,
        progress: Progress,
    ) -> None:
        outputs = [*inner, sparse.graph.output[0].name]
        self.teacher = OnnxModule(dense, outputs).eval()
        self.student = OnnxModule(sparse, outputs).eval()
        self.teacher.requires_grad_(False)
        self.trained = dict(self.student.trainable)
        self.masks = WeightMasks.of(sparse)
        self.masks.attach(self.trained)
        self.optimiser = torch.optim.Adam(list(self.trained.values()), lr=LEARNING_RATE)
        self.bfloat16 = multiplies_bfloat16(torch.device("cpu"))
        self.batches = batches
        self.held_out = [torch.from_numpy(images) for images in held_out]
        self.seconds = 60 * minutes
        self.file = None if folder is None else folder / CHECKPOINT
        self.progress = progress
        self.spent, self.steps, self.images = 0.0, 0, 0
        self.rate, self.fresh = LEARNING_RATE, 0  # steps since the optimiser began (anew)
        self.best: dict[str, Tensor] = {}
        self.before = self.after = math.inf

    def run(self) -> Distillation:
        if not self._restore():
            self.before = self._judge()
        checks = [self.seconds * (i + 1) / CHECKS for i in range(CHECKS)]
        due = next((i for i, check in enumerate(checks) if check > self.spent), CHECKS)
        last = monotonic()
        stream = self.batches(self.steps)
        while due < CHECKS:
            images = torch.from_numpy(next(stream))
            self._step(images)
            now = monotonic()
            self.spent, last = self.spent + now - last, now
            self.progress("refining", int(min(self.spent, self.seconds)), int(self.seconds))
            if self.spent >= checks[due]:
                if self._judge() > WORSE * self.after:
                    self._step_back()
                self._save()
                due = next((i for i, check in enumerate(checks) if check > self.spent), CHECKS)
                last = monotonic()
        values = {
            name: self.best[name].numpy().copy() for name in self.trained if name in self.best
        }
        return Distillation(
            values=values,
            steps=self.steps,
            images=self.images,
            before=self.before,
            after=self.after,
        )

    def _step(self, images: Tensor) -> None:
        done = min(1.0, self.spent / self.seconds)
        warm = min(1.0, (self.fresh + 1) / WARM_UP)
        rate = self.rate * warm * 0.5 * (1 + math.cos(math.pi * done))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        with torch.no_grad():
            wanted = self._outputs(self.teacher, images, fast=self.bfloat16)
        made = self._outputs(self.student, images, fast=self.bfloat16)
        inner = [relative_error(m, w) for m, w in zip(made[:-1], wanted[:-1], strict=True)]
        loss = relative_error(made[-1], wanted[-1])
        if inner:
            loss = loss + INNER_WEIGHT * torch.stack(inner).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.masks.mask_gradients()
        self.optimiser.step()
        self.steps, self.fresh = self.steps + 1, self.fresh + 1
        self.images += len(images)

    @torch.no_grad()
    def _step_back(self) -> None:
        for name, parameter in self.trained.items():
            parameter.copy_(self.best[name])
        self.optimiser.state.clear()
        self.rate, self.fresh = STEP_BACK * self.rate, 0
        logger.info("the features went further away: back to the best, and on more slowly")

    def _outputs(
        self, module: OnnxModule, images: Tensor, *, fast: bool = False
    ) -> tuple[Tensor, ...]:
        """The compared tensors, in float32; ``fast``: computed in bfloat16."""
        # Depthwise convolutions take two thirds of the time in this order of memory.
        placed = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            made = module(placed)
        return tuple(m.float() for m in (made if isinstance(made, tuple) else (made,)))

    @torch.no_grad()
    def _judge(self) -> float:
        """The held-out error now; keeps the state if it is the best so far."""
        wanted = torch.cat([self._outputs(self.teacher, images)[-1] for images in self.held_out])
        made = torch.cat([self._outputs(self.student, images)[-1] for images in self.held_out])
        error = float(relative_error(made, wanted))
        if error < self.after:
            self.after = error
            self.best = {name: p.detach().clone() for name, p in self.trained.items()}
        return error

    def _save(self) -> None:
        if self.file is None:
            return
        state: dict[str, Tensor] = {
            "progress": torch.tensor(
                [
                    self.spent,
                    self.steps,
                    self.images,
                    self.before,
                    self.after,
                    self.rate,
                    self.fresh,
                ],
                dtype=torch.float64,
            )
        }
        for name, parameter in self.trained.items():
            state[f"now/{name}"] = parameter.detach()
            state[f"best/{name}"] = self.best[name]
            if self.fresh:
                moments = self.optimiser.state[parameter]
                state[f"first/{name}"] = moments["exp_avg"]
                state[f"second/{name}"] = moments["exp_avg_sq"]
        write_atomically(self.file, save_tensors({k: v.contiguous() for k, v in state.items()}))

    @torch.no_grad()
    def _restore(self) -> bool:
        if self.file is None or not self.file.exists():
            return False
        try:
            state = load_tensors(self.file.read_bytes())
            spent, steps, images, self.before, self.after, *pace = state["progress"].tolist()
            self.rate, fresh = pace or (LEARNING_RATE, steps)  # older ones never went back
            for name, parameter in self.trained.items():
                parameter.copy_(state[f"now/{name}"])
                self.best[name] = state[f"best/{name}"].clone()
                if fresh:
                    self.optimiser.state[parameter] = {
                        "step": torch.tensor(float(fresh)),
                        "exp_avg": state[f"first/{name}"].clone(),
                        "exp_avg_sq": state[f"second/{name}"].clone(),
                    }
        except Exception as error:
            raise EdgeTransferError(
                f"{self.file}: the checkpoint cannot be read ({error}); start anew without --resume"
            ) from error
        self.spent, self.steps, self.images = spent, int(steps), int(images)
        self.fresh = int(fresh)
        return True


def relative_error(made: Tensor, wanted: Tensor) -> Tensor:
    """The squared error over the variation of what is wanted, over a batch."""
    centred = wanted - wanted.mean(dim=0, keepdim=True)
    return (made - wanted).square().sum() / centred.square().sum().clamp_min(1e-12)


def inner_tensors(model: onnx.ModelProto, count: int = 3) -> list[str]:
    """Tensors to compare inside a backbone: the last activation before each fall in resolution.

    At most ``count``, the deepest ones.
    """
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.value_info, *model.graph.input, *model.graph.output)
    }
    last_of_side: dict[int, str] = {}
    for node in model.graph.node:
        shape = shapes.get(node.output[0], [])
        if len(shape) == 4 and shape[2] > 1 and node.op_type in ("Relu", "Clip", "Add"):
            last_of_side[shape[2]] = node.output[0]
    sides = sorted(last_of_side)[:count]
    return [last_of_side[side] for side in reversed(sides)]
