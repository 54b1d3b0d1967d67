"""Train a sparse TinyResNet from scratch by AC/DC on Tiny ImageNet; resumable.

    python train.py --data TINY_IMAGENET --out WORK

AC/DC: Peste, Iofinova, Vladu, Alistarh, "AC/DC: Alternating Compressed/DeCompressed Training
of Deep Neural Networks" (NeurIPS 2021): dense warm-up, then alternate compressed phases (only
the largest weights of every layer are kept and trained) and dense phases (the mask is lifted,
momentum reset), ending on a long compressed phase. Early epochs run at 48 pixels, which nearly
halves their cost.

The batches of step i depend on (seed, i) alone, and the state is saved every few minutes under
a temporary name and renamed, so a run that was killed goes on where it stood.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from data import load_sheets, normalise, train_view
from network import TinyResNet, prunable

BATCH = 128
PEAK_LEARNING_RATE = 0.2
WEIGHT_DECAY = 5e-4
CHECKPOINT_EVERY = 250
# (first epoch, compressed?, image size)
PHASES = (
    (0, False, 48),
    (3, True, 48),
    (4, False, 48),
    (5, True, 48),
    (6, False, 48),
    (7, True, 48),
    (8, False, 64),
    (9, True, 64),
)
EPOCHS = 16


def phase_of(epoch: int) -> tuple[int, bool, int]:
    """The phase that an epoch belongs to: its first epoch, compressed or not, image size."""
    return max(phase for phase in PHASES if phase[0] <= epoch)


def top_k_masks(net: TinyResNet, sparsity: float) -> dict[str, torch.Tensor]:
    """Keep the (1 - sparsity) largest magnitudes of every prunable layer."""
    masks = {}
    for name, weight in prunable(net).items():
        keep = max(1, round(weight.numel() * (1 - sparsity)))
        order = weight.detach().abs().flatten().argsort(descending=True, stable=True)
        mask = torch.zeros(weight.numel(), dtype=torch.bool)
        mask[order[:keep]] = True
        masks[name] = mask.view_as(weight)
    return masks


def apply_masks(net: TinyResNet, masks: dict[str, torch.Tensor]) -> None:
    weights = prunable(net)
    with torch.no_grad():
        for name, mask in masks.items():
            weights[name].mul_(mask)


def learning_rate(step: int, steps: int, warm_up: int) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    if step < warm_up:
        return PEAK_LEARNING_RATE * (step + 1) / warm_up
    return PEAK_LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up)))


def accuracy(net: TinyResNet, tiles: np.ndarray, labels: np.ndarray) -> float:
    """Top-1 accuracy on whole 64-pixel tiles, in float32."""
    net.eval()
    right = 0
    with torch.inference_mode():
        for start in range(0, len(tiles), 250):
            x = normalise(tiles[start : start + 250]).contiguous(memory_format=torch.channels_last)
            right += int((net(x).argmax(1).numpy() == labels[start : start + 250]).sum())
    net.train()
    return right / len(tiles)


def save(path: Path, state: dict[str, object]) -> None:
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="holds train/ and val/ sheets")
    parser.add_argument("--out", type=Path, required=True, help="checkpoints and log")
    parser.add_argument("--sparsity", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    tiles, labels, classes = load_sheets(args.data / "train")
    val_tiles, val_labels, _ = load_sheets(args.data / "val")

    torch.manual_seed(args.seed)
    net = TinyResNet(len(classes)).to(memory_format=torch.channels_last).train()
    decayed = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim == 1]
    optimiser = torch.optim.SGD(
        [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others}],
        lr=PEAK_LEARNING_RATE,
        momentum=0.9,
        nesterov=True,
    )
    per_epoch = len(tiles) // BATCH
    steps = EPOCHS * per_epoch
    masks: dict[str, torch.Tensor] = {}
    first, seconds = 0, 0.0
    checkpoint = args.out / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        masks, first, seconds = state["masks"], state["step"], state["seconds"]
        print(f"going on at step {first} of {steps}", flush=True)

    def snapshot(step: int) -> dict[str, object]:
        return {
            "net": net.state_dict(),
            "optimiser": optimiser.state_dict(),
            "masks": masks,
            "step": step,
            "seconds": seconds,
            "classes": classes,
            "sparsity": args.sparsity,
        }

    clock = time.monotonic()
    for step in range(first, steps):
        epoch, index = divmod(step, per_epoch)
        start, compressed, size = phase_of(epoch)
        if index == 0 and epoch == start:
            if compressed:
                masks = top_k_masks(net, args.sparsity)
                apply_masks(net, masks)
            else:
                masks = {}
                optimiser.state.clear()
        order = np.random.default_rng((args.seed, epoch)).permutation(len(tiles))
        batch = np.sort(order[index * BATCH : (index + 1) * BATCH])
        generator = torch.Generator().manual_seed(args.seed * 1_000_003 + step)
        x = train_view(normalise(tiles[batch]), size, generator)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps, per_epoch)
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(x)
        loss = F.cross_entropy(logits.float(), torch.from_numpy(labels[batch]))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        apply_masks(net, masks)

        done = step + 1
        if done % CHECKPOINT_EVERY == 0 or done % per_epoch == 0:
            seconds += time.monotonic() - clock
            save(checkpoint, snapshot(done))
            line = {"step": done, "of": steps, "seconds": round(seconds, 1), "loss": loss.item()}
            if done % per_epoch == 0 and (compressed or done == steps):
                line |= {"epoch": epoch + 1, "top1": accuracy(net, val_tiles, val_labels)}
            print(json.dumps(line), flush=True)
            clock = time.monotonic()
    save(args.out / "final.pt", snapshot(steps))


if __name__ == "__main__":
    main()
