"""How a module is run: device, precision, memory layout, with or without checkpointing."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from edgetransfer.errors import UsageError
from edgetransfer.finetune.module import OnnxModule, Step


def choose_device(wanted: str) -> torch.device:
    """The device that a person named, or the best there is.

    Raises
    ------
    UsageError
        If it is not here.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": _has_mps()}
    if wanted == "auto":
        wanted = next(name for name in ("cuda", "mps", "cpu") if present[name])
    if not present[wanted]:
        raise UsageError(f"--device {wanted}: torch does not find one here; use --device cpu")
    return torch.device(wanted)


def _has_mps() -> bool:
    return bool(torch.backends.mps.is_available())


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16, so that it is faster than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type == "mps":
        return False
    # torch itself has no public question for these processor features.
    asks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported")
    return any(bool(getattr(torch.cpu, ask, bool)()) for ask in asks)


@contextlib.contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """Set the threads of torch for a while; its own default if None."""
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Runner:
    """Runs a module in the fastest form there is.

    Parameters
    ----------
    module
        Moved to the device, in channels-last layout.
    bfloat16
        Whether layers compute in bfloat16 (autocast); features come back in float32.
    checkpointing
        Keep the activations at a few places only (Chen et al., "Training deep nets with
        sublinear memory cost", 2016). The module must not overwrite (`OnnxModule`).
    """

    def __init__(
        self, module: OnnxModule, device: torch.device, *, bfloat16: bool, checkpointing: bool
    ) -> None:
        self.module = module.to(device, memory_format=torch.channels_last)
        self.device = device
        self.bfloat16 = bfloat16
        self._segments = segments(module.steps, module.inputs) if checkpointing else ()

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        """Run the module on its inputs, (n, …) float32, wherever they are; (n, D) float32."""
        moved = [self._placed(x) for x in inputs]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            if self._segments and self.module.training:
                features = self._checkpointed(moved)
            else:
                features = self.module(*moved)
        return features.float()

    def _placed(self, x: Tensor) -> Tensor:
        layout = torch.channels_last if x.ndim == 4 else torch.contiguous_format
        return x.to(self.device, memory_format=layout)

    def _checkpointed(self, inputs: Sequence[Tensor]) -> Tensor:
        module = self.module
        known = dict(zip(module.inputs, inputs, strict=True))
        for part, reads, leaves in self._segments:
            found = checkpoint(
                _segment_call(module, part, reads, leaves),
                *(known[name] for name in reads),
                use_reentrant=False,
                preserve_rng_state=False,
                context_fn=lambda: (contextlib.nullcontext(), module.recomputing()),
            )
            known.update(zip(leaves, found, strict=True))
            used_up = {name for step in part for name in step.last_of}
            known = {name: value for name, value in known.items() if name not in used_up}
        return known[module.outputs[0]]


Segment = tuple[tuple[Step, ...], tuple[str, ...], tuple[str, ...]]


def segments(steps: Sequence[Step], inputs: Sequence[str]) -> tuple[Segment, ...]:
    """About sqrt(n) runs of n steps, each with the tensors that it reads and leaves behind."""
    size = max(1, math.ceil(math.sqrt(len(steps))))
    found: list[Segment] = []
    known = set(inputs)
    for start in range(0, len(steps), size):
        part = tuple(steps[start : start + size])
        made = [name for step in part for name in step.outputs]
        gone = {name for step in part for name in step.last_of}
        reads = dict.fromkeys(n for step in part for n in step.inputs if n in known)
        known.update(made)
        leaves = tuple(name for name in made if name not in gone)
        found.append((part, tuple(reads), leaves))
    return tuple(found)


def _segment_call(
    module: OnnxModule, part: tuple[Step, ...], reads: tuple[str, ...], leaves: tuple[str, ...]
) -> Callable[..., tuple[Tensor, ...]]:
    def call(*tensors: Tensor) -> tuple[Tensor, ...]:
        known = dict(zip(reads, tensors, strict=True))
        module.run(part, known)
        return tuple(known[name] for name in leaves)

    return call
