"""How the zeros of published sparse networks lie over the layers, as far as their work tells.

Two networks of one sparsity may differ twice in work: a weight of an early layer is used at more
positions. What each method's network needs is published (Peste, thesis, ISTA 2023, tables 3.1 to
3.3: "GFLOPs inference" as a multiple of the dense network's, with the fully connected layer);
densities by layer are not. They are made here so that sparsity and work are the published ones:

- ``rigl``: Erdős-Rényi-Kernel, as it was trained (Evci et al., ICML 2020), over all layers. Its
  work follows; it is 0.41, 0.24 and 0.12 of ResNet50's, published are 0.42, 0.24 and 0.12.
- the others: one threshold for all layers, whose weights are normal with a deviation that falls
  with a power of the layer's fan-in. The power is what brings the published work: about -0.3 for
  AC/DC, -0.2 for WoodFisher (both prune by one global threshold), just above 0 for STR.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from edgetransfer.backbones.architectures.catalogue import architecture as by_name
from edgetransfer.backbones.architectures.layers import Architecture
from edgetransfer.errors import UsageError

Profile = Literal["acdc", "str", "woodfisher", "rigl"]

CLASSES, SIZE = 1000, 224  # of the published networks
STEEPEST = 2.0  # power of the fan-in, either way
STEPS = 80  # of bisections


@dataclass(frozen=True, kw_only=True)
class Published:
    """What was published of one sparse network.

    Parameters
    ----------
    sparsity
        Share of all weights that are zero, the fully connected layer's included.
    work
        Multiply-adds as a share of the dense network's.
    epoch
        Mean time of an epoch of linear finetuning as a share of the dense network's (Iofinova et
        al., CVPR 2022, table 5; for ``rigl`` that of RigL ERK 5x); None if not published.
    """

    sparsity: float
    work: float
    epoch: float | None = None


PUBLISHED: Mapping[tuple[str, Profile], Mapping[float, Published]] = {
    ("resnet50", "acdc"): {
        0.8: Published(sparsity=0.80, work=0.29, epoch=0.60),
        0.9: Published(sparsity=0.90, work=0.18, epoch=0.43),
        0.95: Published(sparsity=0.95, work=0.11, epoch=0.32),
        0.98: Published(sparsity=0.98, work=0.06),
    },
    ("resnet50", "str"): {
        0.8: Published(sparsity=0.7955, work=0.19, epoch=0.44),
        0.9: Published(sparsity=0.9023, work=0.08, epoch=0.28),
        0.95: Published(sparsity=0.948, work=0.04, epoch=0.22),
        0.98: Published(sparsity=0.9778, work=0.02),
    },
    ("resnet50", "woodfisher"): {
        0.8: Published(sparsity=0.80, work=0.25, epoch=0.53),
        0.9: Published(sparsity=0.90, work=0.15, epoch=0.37),
        0.95: Published(sparsity=0.95, work=0.09, epoch=0.28),
        0.98: Published(sparsity=0.98, work=0.05),
    },
    ("resnet50", "rigl"): {
        0.8: Published(sparsity=0.80, work=0.42, epoch=0.71),
        0.9: Published(sparsity=0.90, work=0.24, epoch=0.50),
        0.95: Published(sparsity=0.95, work=0.12, epoch=0.36),
    },
    ("mobilenet_v1", "acdc"): {
        0.75: Published(sparsity=0.75, work=0.34),
        0.9: Published(sparsity=0.90, work=0.18),
    },
    ("mobilenet_v1", "rigl"): {
        0.75: Published(sparsity=0.75, work=0.52),
        0.9: Published(sparsity=0.90, work=0.27),
    },
}


def published(name: str, profile: str, sparsity: float) -> Published:
    """What was published of an architecture's network by a method.

    Raises
    ------
    UsageError
        If nothing was, naming what there is.
    """
    known = [s for (a, p), found in PUBLISHED.items() if (a, p) == (name, profile) for s in found]
    for (one, other), found in PUBLISHED.items():
        if (one, other) == (name, profile) and sparsity in found:
            return found[sparsity]
    if known:
        there = f"of {name} there are {', '.join(f'{s:g}' for s in known)}"
    else:
        names = [a for a, p in PUBLISHED if p == profile]
        there = f"there are figures of {', '.join(dict.fromkeys(names))} alone"
    raise UsageError(
        f"--pattern {profile}: nothing is published of {name} at a sparsity of {sparsity:g}; "
        f"{there}"
    )


def is_profile(pattern: str) -> bool:
    """Whether a pattern is that of a published method."""
    return pattern in get_args(Profile)


def profile_sparsities(name: str, profile: str, sparsity: float) -> dict[str, float]:
    """The share of zeros in each convolution, by the name of its weights.

    The fully connected layer has its part in sparsity and work, and is left out of the result.

    Parameters
    ----------
    name
        Of the architecture.
    sparsity
        As the published network is called; what it has may be a little else (STR).

    Raises
    ------
    UsageError
        As in `published`.
    """
    table = by_name(name)
    wanted = published(table.name, profile, sparsity)
    layers = _layers_of(table)
    if profile == "rigl":
        densities = _erdos_renyi(layers, wanted.sparsity)
    else:
        power = _bisected(
            lambda power: _work(layers, _threshold(layers, power, wanted.sparsity)),
            wanted.work,
            -STEEPEST,
            STEEPEST,
        )
        densities = _threshold(layers, power, wanted.sparsity)
    return {
        f"{layer.name}.weight": 1 - density
        for layer, density in zip(layers[:-1], densities, strict=False)
    }


@dataclass(frozen=True, kw_only=True)
class _Layer:
    name: str
    shape: tuple[int, ...]
    positions: int

    @property
    def weights(self) -> int:
        return math.prod(self.shape)

    @property
    def fan_in(self) -> int:
        return math.prod(self.shape[1:])


def _layers_of(table: Architecture) -> list[_Layer]:
    """The convolutions in order, and the fully connected layer at the end."""
    side = {"input": SIZE}
    for layer in table.layers:
        side[layer.name] = -(-side[layer.source] // getattr(layer, "stride", 1))
    found = [
        _Layer(name=layer.name, shape=layer.shape, positions=side[layer.name] ** 2)
        for layer in table.convolutions
    ]
    last = _Layer(name=table.classifier, shape=(CLASSES, table.dimension), positions=1)
    return [*found, last]


def _work(layers: list[_Layer], densities: list[float]) -> float:
    """Multiply-adds as a share of the dense network's."""
    dense = [layer.weights * layer.positions for layer in layers]
    return float(np.dot(dense, densities)) / sum(dense)


def _kept(layers: list[_Layer], densities: list[float]) -> float:
    """Weights that are not zero, as a share of all."""
    weights = [layer.weights for layer in layers]
    return float(np.dot(weights, densities)) / sum(weights)


def _threshold(layers: list[_Layer], power: float, sparsity: float) -> list[float]:
    """Densities behind one threshold; deviations are the fan-in to some power."""

    def densities(log_threshold: float) -> list[float]:
        threshold = math.exp(log_threshold)
        return [math.erfc(threshold / layer.fan_in**power / math.sqrt(2)) for layer in layers]

    at = _bisected(lambda t: _kept(layers, densities(t)), 1 - sparsity, -40.0, 40.0)
    return densities(at)


def _erdos_renyi(layers: list[_Layer], sparsity: float) -> list[float]:
    """Densities in proportion to the sum of a layer's dimensions over their product, at most 1."""
    scores = [sum(layer.shape) / layer.weights for layer in layers]

    def densities(log_scale: float) -> list[float]:
        return [min(1.0, math.exp(log_scale) * score) for score in scores]

    at = _bisected(lambda t: -_kept(layers, densities(t)), sparsity - 1, -40.0, 40.0)
    return densities(at)


def _bisected(falling: Callable[[float], float], wanted: float, low: float, high: float) -> float:
    """Where a falling function has a value; the nearer end where it never has."""
    for _ in range(STEPS):
        middle = (low + high) / 2
        if falling(middle) > wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2
