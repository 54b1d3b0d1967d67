"""The linear classifier on top of a backbone's features."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.atomic import write_atomically
from edgetransfer.errors import HeadError
from edgetransfer.heads.feature_maps import RAW, FeatureMap
from edgetransfer.heads.novelty import Novelty
from edgetransfer.names import json_text, readable
from edgetransfer.reprs import short_repr
from edgetransfer.sealing import BrokenSealError, has_seal, sealed
from edgetransfer.types import Float32Array, IntArray
from edgetransfer.untrusted_json import json_value

# The first version, and with a feature map, which an older version must not ignore.
UNSEALED = ("edgetransfer-head-1", "edgetransfer-head-2")
FORMAT = "edgetransfer-head-4"  # two bits from those: one that flips makes neither of it


@dataclass(frozen=True, kw_only=True)
class LinearHead:
    """A softmax classifier: logits = map(features) @ weights + bias.

    Parameters
    ----------
    weights
        (M, K) float32; M is D but for the map ``relu``.
    bias
        (K,) float32.
    classes
        K names.
    metadata
        What is saved beside them: backbone identity, preprocessing, and so on.
    map
        What is done to features first.
    novelty
        Tells features that show none of the classes; None if nothing is known of that.
    """

    weights: Float32Array
    bias: Float32Array
    classes: tuple[str, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    map: FeatureMap = RAW
    novelty: Novelty | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if self.weights.ndim != 2 or self.bias.shape != (self.weights.shape[1],):
            raise HeadError(
                f"weights {self.weights.shape} and bias {self.bias.shape} do not fit each other"
            )
        if len(self.classes) != self.weights.shape[1]:
            raise HeadError(f"{len(self.classes)} names for {self.weights.shape[1]} classes")
        projection = self.map.projection
        if projection is not None and projection.shape[1:] != self.weights.shape[:1]:
            raise HeadError(
                f"directions {projection.shape} and weights {self.weights.shape} do not fit"
            )
        if self.novelty is not None:
            shape = len(self.novelty.axes), len(self.novelty.prototypes)
            if shape != self.weights.shape:
                raise HeadError("what tells the unknown is of another head")

    @classmethod
    def initial(cls, dimension: int, classes: Sequence[str], seed: int) -> LinearHead:
        """A Kaiming-uniform start, as of a fresh fully connected layer in torch.

        Weights and bias are uniform within 1 / sqrt(D) of zero: He et al., "Delving deep into
        rectifiers" (ICCV 2015), with the gain sqrt(1/3) that torch's ``nn.Linear`` has.
        """
        rng = np.random.default_rng(seed)
        bound = 1 / np.sqrt(dimension)
        return cls(
            weights=rng.uniform(-bound, bound, (dimension, len(classes))).astype(np.float32),
            bias=rng.uniform(-bound, bound, len(classes)).astype(np.float32),
            classes=tuple(classes),
        )

    @classmethod
    def empty(cls, dimension: int) -> LinearHead:
        """A head of no class."""
        none: tuple[str, ...] = ()
        weights = np.zeros((dimension, 0), np.float32)
        return cls(weights=weights, bias=np.zeros(0, np.float32), classes=none)

    @property
    def dimension(self) -> int:
        """The length D of a feature vector."""
        projection = self.map.projection
        return int((self.weights if projection is None else projection).shape[0])

    def logits(self, features: Float32Array) -> Float32Array:
        """(N, D) features to (N, K) logits."""
        return self.map(features) @ self.weights + self.bias

    def predict_proba(self, features: Float32Array) -> Float32Array:
        """(N, D) features to (N, K) probabilities; rows sum to one."""
        logits = self.logits(features)
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        return logits

    def predict(self, features: Float32Array) -> IntArray:
        """(N, D) features to (N,) int64 class indices."""
        best: IntArray = self.logits(features).argmax(axis=1).astype(np.int64)
        return best

    def unknown(self, features: Float32Array) -> NDArray[np.bool_] | None:
        """(N, D) features to (N,): whether they probably show none of the classes.

        None if nothing is known of that.
        """
        if self.novelty is None:
            return None
        beyond: NDArray[np.bool_] = (
            self.novelty.distances(self.map(features)) > self.novelty.threshold
        )
        return beyond

    def unstandardized(self, mean: Float32Array, std: Float32Array) -> LinearHead:
        """The head on raw features that equals this one on (features - mean) / std.

        Both arguments are (D,) float32.

        Raises
        ------
        HeadError
            If the head has a feature map: what is done before one cannot be folded into weights.
        """
        if self.map.name != "raw":
            raise HeadError(f"standardising does not go with the feature map {self.map.name}")
        weights = self.weights.astype(np.float64) / std[:, None]
        bias = self.bias - mean.astype(np.float64) @ weights
        novelty = self.novelty
        if novelty is not None:
            axes = novelty.axes.astype(np.float64) / std[:, None]
            centre = novelty.centre + mean.astype(np.float64) @ axes
            novelty = replace(
                novelty, axes=axes.astype(np.float32), centre=centre.astype(np.float32)
            )
        return LinearHead(
            weights=weights.astype(np.float32),
            bias=bias.astype(np.float32),
            classes=self.classes,
            metadata=self.metadata,
            novelty=novelty,
        )

    def save(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the head as safetensors with its classes and ``metadata``, atomically."""
        write_atomically(path, self.content(metadata))

    def content(self, metadata: Mapping[str, str]) -> bytes:
        """The file that `save` writes: the same for the same head."""
        tensors = {"weights": np.ascontiguousarray(self.weights), "bias": self.bias}
        said = {name: readable(value) for name, value in metadata.items()}
        said["classes"] = json_text(self.classes)
        said.pop("feature_map", None)  # of the head that this one was made from
        if self.map.name != "raw":
            said["feature_map"] = self.map.name
        if self.map.projection is not None:
            tensors["projection"] = np.ascontiguousarray(self.map.projection)
        said.pop("unknown", None)
        if self.novelty is not None:
            tensors |= self.novelty.tensors()
            limits = {"threshold": self.novelty.threshold, "rejected": self.novelty.rejected}
            said["unknown"] = json.dumps(limits)
        return sealed(tensors, {**said, "format": FORMAT})

    @classmethod
    def load(cls, path: Path, *, backbone: str | None = None) -> LinearHead:
        """Read a head that `save` wrote.

        Parameters
        ----------
        backbone
            The identity of the backbone that it will be used with; None to not check.

        Raises
        ------
        HeadError
            If the file is broken, or the head was trained on another backbone.
        """
        from safetensors import SafetensorError, safe_open

        try:
            has = has_seal(path)
            with safe_open(str(path), framework="numpy") as file:
                metadata = dict(file.metadata() or {})
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except FileNotFoundError:
            raise HeadError(f"{path}: no such file; has the training finished?") from None
        except BrokenSealError as error:
            raise HeadError(
                f"{path}: a damaged head file ({error}); restore it from a copy, or train again"
            ) from error
        except (SafetensorError, OSError) as error:
            raise HeadError(f"{path}: not a complete head file: {error}") from error
        if metadata.get("format") not in ((FORMAT,) if has else UNSEALED):
            raise HeadError(f"{path}: not a head that this version of edgetransfer can read")
        try:
            name: Any = metadata.get("feature_map", "raw")
            head = cls(
                weights=_numbers(tensors["weights"]),
                bias=_numbers(tensors["bias"]),
                classes=tuple(map(_class_name, json_value(metadata["classes"]))),
                metadata=metadata,
                map=FeatureMap(name=name, projection=tensors.get("projection")),
                novelty=_novelty(tensors, metadata),
            )
            if not head.classes:
                raise HeadError("it knows no class")
        except (KeyError, ValueError, TypeError, HeadError) as error:
            raise HeadError(f"{path}: a damaged head file: {error}") from error
        if backbone is not None:
            head.check_backbone(backbone, path)
        return head

    def check_backbone(self, backbone: str, path: Path) -> None:
        """Refuse to go with another backbone than the one that the head was trained on.

        Raises
        ------
        HeadError
            Naming ``path``, the head's file.
        """
        trained_on = self.metadata.get("backbone", "")
        if trained_on != backbone:
            raise HeadError(
                f"{path}: this head was trained on backbone {trained_on[:12]}…, not on "
                f"{backbone[:12]}…; its predictions would be meaningless"
            )


def _class_name(name: object) -> str:
    """A class's name from a file; older runs may have any text, and what prints it escapes it."""
    if not isinstance(name, str):
        raise HeadError(f"a class is named {name!r}")
    return name


def _novelty(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> Novelty | None:
    if "unknown" not in metadata:
        return None
    limits = json_value(metadata["unknown"])
    return Novelty.of_tensors(tensors, float(limits["threshold"]), float(limits["rejected"]))


def _numbers(values: NDArray[Any]) -> Float32Array:
    if values.dtype != np.float32:
        raise HeadError(f"its numbers are {values.dtype}, not float32")
    if not np.isfinite(values).all():
        raise HeadError("some of its numbers are not finite")
    return values
