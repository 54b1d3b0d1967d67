"""Types that several leaves share, and that belong to none of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.settings.shared import Interpolation

Float32Array = NDArray[np.float32]
UInt8Array = NDArray[np.uint8]
IntArray = NDArray[np.int64]

Channels = Literal["RGB", "BGR"]
Triple = tuple[float, float, float]

Progress = Callable[[str, int, int], None]
"""Told (what is being done, images or steps done, how many in all) as work goes on."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def no_progress(_stage: str, _done: int, _total: int) -> None:
    """The `Progress` of somebody who does not listen."""


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """A convention of what pixel values a network is fed: (x / 255 - mean) / std.

    Parameters
    ----------
    mean, std
        Per channel (R, G, B), of pixel values in 0 to 1.
    channels
        The order in which the network takes them.
    meaning
        Where it is usual, in words.
    """

    mean: Triple
    std: Triple
    channels: Channels = "RGB"
    meaning: str

    __repr__ = short_repr


_BYTE = 1 / 255
NORMALISATIONS: dict[str, Normalisation] = {
    "imagenet": Normalisation(
        mean=IMAGENET_MEAN, std=IMAGENET_STD, meaning="torchvision, most of timm, Keras' `torch`"
    ),
    "half": Normalisation(
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        meaning="-1 to 1: TensorFlow, Inception, MobileNet",
    ),
    "lite": Normalisation(
        mean=(127 * _BYTE,) * 3,
        std=(128 * _BYTE,) * 3,
        meaning="(x - 127) / 128: EfficientNet-Lite",
    ),
    "unit": Normalisation(
        mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), meaning="0 to 1: YOLO, many mobile networks"
    ),
    "raw": Normalisation(
        mean=(0.0, 0.0, 0.0), std=(_BYTE,) * 3, meaning="0 to 255: the graph normalises by itself"
    ),
    "torch-255": Normalisation(
        mean=IMAGENET_MEAN, std=(_BYTE,) * 3, meaning="0 to 255 less ImageNet's mean"
    ),
    "caffe": Normalisation(
        mean=(123.68 * _BYTE, 116.779 * _BYTE, 103.939 * _BYTE),
        std=(_BYTE,) * 3,
        channels="BGR",
        meaning="0 to 255 less ImageNet's mean, blue first: Caffe, Keras' ResNet and VGG",
    ),
    "clip": Normalisation(
        mean=(0.48145466, 0.4578275, 0.40821073),
        std=(0.26862954, 0.26130258, 0.27577711),
        meaning="CLIP and what was trained after it",
    ),
}
SAME_NORMALISATION = {"torch": "imagenet", "tf": "half", "inception": "half"}


def normalisation_of(name: str) -> Normalisation:
    """A convention by its name, or one of its other names.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    found = NORMALISATIONS.get(SAME_NORMALISATION.get(name, name))
    if found is None:
        known = ", ".join((*NORMALISATIONS, *SAME_NORMALISATION))
        raise UsageError(f"--normalisation: {name!r} is not known; known: {known}")
    return found


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What a backbone expects of its input.

    Parameters
    ----------
    size
        Side of the square model input, in pixels.
    resize
        The eval view scales the shorter side to this many pixels before the centre crop.
    mean, std
        Per channel (R, G, B), of pixel values in 0 to 1.
    interpolation
        The resampling filter; always antialiased.
    channels
        The order of the three channels in the model input.
    """

    size: int = 224
    resize: int = 256
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    interpolation: Interpolation = "bilinear"
    channels: Channels = "RGB"

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not 8 <= self.size <= 4096:
            raise UsageError(f"the input size must lie between 8 and 4096 pixels, not {self.size}")
        if self.resize < self.size:
            raise UsageError(
                f"the eval view resizes the shorter side to {self.resize} pixels, which is less "
                f"than the crop of {self.size}: give a larger --resize"
            )
        if len(self.mean) != 3 or len(self.std) != 3:
            raise UsageError("mean and std need three values each: red, green, blue")
        if not all(np.isfinite(self.mean)) or not all(np.isfinite(self.std)):
            raise UsageError("mean and std must be finite numbers")
        if any(s <= 0 for s in self.std):
            raise UsageError(f"every std must be above zero, not {self.std}")
        if max(map(abs, self.mean)) > 4 or max(self.std) > 4:
            raise UsageError(
                "mean and std are of pixel values in 0 to 1: divide values in 0 to 255 by 255"
            )
        if self.interpolation not in ("bilinear", "bicubic"):
            raise UsageError(f"interpolation is bilinear or bicubic, not {self.interpolation!r}")
        if self.channels not in ("RGB", "BGR"):
            raise UsageError(f"the channels are in the order RGB or BGR, not {self.channels!r}")

    @property
    def fingerprint(self) -> str:
        """A short hash of all settings; equal settings have equal fingerprints."""
        values = asdict(self)
        if self.channels == "RGB":  # fingerprints from before there was another order still hold
            del values["channels"]
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def default_resize(size: int) -> int:
    """The shorter side that keeps ImageNet's 256 to 224 proportion at another crop size."""
    return round(size * 256 / 224)
