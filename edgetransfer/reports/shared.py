"""What the reports of several commands have in them."""

from __future__ import annotations

from typing import TypedDict


class BackboneRecord(TypedDict):
    """Which backbone it was.

    Keys
    ----
    sha256
        Of the ONNX file.
    sparsity
        The share of its weights that are zero, 0 to 1.
    """

    name: str
    sha256: str
    sparsity: float


class EngineRecord(TypedDict):
    """Which engine ran, and why it and no other."""

    name: str
    version: str
    reason: str


class Accuracies(TypedDict):
    """How many were right, 0 to 1: of all photos, and the mean over classes."""

    top1: float
    mean_per_class: float


class SkippedRecord(TypedDict):
    """A photo that could not be used, and why."""

    id: str
    reason: str


class MacsRecord(TypedDict):
    """Multiply-accumulate operations an image: with all weights, and with those that are not 0."""

    dense: int
    nonzero: int
