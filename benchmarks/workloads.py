"""What the benchmarks have in common: photos, backbones, taking turns, and the way they report.

Everything is seeded and nothing needs a network. Contestants take turns (A B C, A B C, …) in one
process, so that the machine's drift cancels; reported are medians over the turns.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.architectures import synthetic
from edgetransfer.data import Sample, find_images
from edgetransfer.engines import available_cores
from edgetransfer.engines.processor import cpu_model
from edgetransfer.graphs.pruning import prune_by_magnitude
from edgetransfer.images import SUFFIXES

SMALL, LARGE = (300, 240), (4000, 3000)


def make_photos(folder: Path, count: int, size: tuple[int, int] = SMALL) -> None:
    """Smooth seeded colours under fine grain, as JPEG of a camera's usual quality."""
    rng = np.random.default_rng(0)
    width, height = size
    for index in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 30, 3), np.uint8))
        photo = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC)).astype(np.int16)
        grain = rng.integers(-12, 13, (-(-height // 2), -(-width // 2), 1), np.int16)
        photo += grain.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
        picture = Image.fromarray(np.clip(photo, 0, 255).astype(np.uint8))
        picture.save(folder / f"{index:04d}.jpg", quality=90)


def enlarge_photos(source: Path, folder: Path, count: int) -> None:
    """Twelve-megapixel versions of photos, with seeded grain, as JPEG."""
    rng = np.random.default_rng(0)
    for index, sample in enumerate(some_photos(source, count)):
        with Image.open(io.BytesIO(sample.read())) as image:
            size = LARGE if image.width >= image.height else LARGE[::-1]
            photo = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))
        grain = rng.integers(-12, 13, (size[1] // 2, size[0] // 2, 1), np.int16)
        noisy = photo + grain.repeat(2, axis=0).repeat(2, axis=1)
        picture = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
        picture.save(folder / f"{index:04d}.jpg", quality=90)


def some_photos(folder: Path, count: int) -> list[Sample]:
    """A seeded choice of a folder's photos, at most ``count``."""
    files = sorted(find_images(folder, suffixes=SUFFIXES))
    chosen = np.random.default_rng(0).permutation(len(files))[:count]
    return [Sample(id=files[i].name, source=files[i]) for i in chosen]


def backbone_of(name: str, folder: Path) -> Backbone:
    """``ARCHITECTURE:SPARSITY`` (random weights), ``FILE:SPARSITY`` (pruned), a file or a name."""
    import onnx

    base, _, share = name.rpartition(":")
    if not base:
        return Backbone.open(name)
    sparsity = float(share)
    path = folder / f"{Path(base).stem}-{share}.onnx"
    if Path(base).suffix == ".onnx":
        opened = Backbone.open(base)
        onnx.save(prune_by_magnitude(onnx.load(base), sparsity), str(path))
        preprocessing = opened.preprocessing
        return Backbone.open(
            str(path),
            size=preprocessing.size,
            resize=preprocessing.resize,
            mean=preprocessing.mean,
            std=preprocessing.std,
        )
    onnx.save(synthetic(base, sparsity=sparsity), str(path))
    return Backbone.open(str(path))


def in_turns(
    contestants: Mapping[str, Callable[[], float]], repeats: int
) -> dict[str, list[float]]:
    """What each contestant returns, measured in turns after one turn that does not count."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(repeats + 1):
        for name, measure in contestants.items():
            value = measure()
            if turn:
                found[name].append(value)
        print(f"turn {turn} of {repeats}", file=sys.stderr)
    return found


def report(benchmark: str, **values: object) -> None:
    """One JSON line: the benchmark's permanent name, its values, and the machine."""
    machine = {
        "cpu": cpu_model(),
        "cores": available_cores(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }
    print(json.dumps({"benchmark": benchmark, **values, "machine": machine}), flush=True)


def median(values: list[float], digits: int = 1) -> float:
    """The median, rounded for reading."""
    return round(statistics.median(values), digits)
