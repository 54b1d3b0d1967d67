"""An export must say what its run says, before anybody gets it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import onnx
from PIL import Image

from edgetransfer.backbones import Backbone
from edgetransfer.data import Sample
from edgetransfer.engines import available_kinds, open_engine, reference_kind
from edgetransfer.engines.onnxruntime_engine import inference_session
from edgetransfer.errors import EdgeTransferError, EngineError, ImageError
from edgetransfer.graphs.freeze import INPUT
from edgetransfer.heads import LinearHead
from edgetransfer.images import EvalTransform, normalise, open_upright, render
from edgetransfer.merging.graph import PROBABILITIES
from edgetransfer.merging.unknown import DISTANCE
from edgetransfer.reports.export import VerifiedRecord
from edgetransfer.train.opened_run import OpenedRun
from edgetransfer.train.seen_before import trained_on
from edgetransfer.types import Float32Array, UInt8Array

logger = logging.getLogger(__name__)

COMPARED = 16  # photos
AGREED = 1e-3  # of probabilities: the script's and an engine's sums are in another order
SAME_ENGINE = 1e-4  # of probabilities, in the reference engine
SAME_DISTANCE = 1e-3  # of the squares whose differences, in float32, the distances are


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """On what an export is compared with its run.

    Parameters
    ----------
    pixels
        (n, S, S, 3) uint8, resized and cropped.
    on
        What these are, in words.
    """

    pixels: UInt8Array
    on: str

    def normalised(self, backbone: Backbone) -> Float32Array:
        """(n, 3, S, S) float32, as the backbone is fed."""
        n, size = self.pixels.shape[:2]
        images = np.empty((n, 3, size, size), np.float32)
        for picture, out in zip(self.pixels, images, strict=True):
            normalise(Image.fromarray(picture), backbone.preprocessing, out)
        return images


@dataclass(frozen=True, kw_only=True)
class Verified:
    """How far an export is from its run.

    Parameters
    ----------
    on
        What they were compared on.
    difference
        The largest of a probability, by engine.
    cannot
        Why an engine could not be asked, by engine.
    """

    on: str
    difference: dict[str, float] = field(default_factory=dict)
    cannot: dict[str, str] = field(default_factory=dict)

    @property
    def record(self) -> VerifiedRecord:
        """For reports."""
        return {"on": self.on, "difference": self.difference, "cannot": self.cannot}


def evidence_of(run: OpenedRun) -> Evidence:
    """Photos that the run was trained on; noise where they are not there any more."""
    preprocessing = run.backbone.preprocessing
    size = preprocessing.size
    pictures = []
    for sample in _own_photos(run.config):
        transform = EvalTransform(size=size, resize=preprocessing.resize)
        try:
            picture = open_upright(sample.read())
        except (ImageError, OSError):
            continue
        full = picture.size
        shown = render(picture, transform.view(*full), full, preprocessing)
        pictures.append(np.asarray(shown, np.uint8))
    noise = np.random.default_rng(0).integers(0, 256, (4, size, size, 3), np.uint8)
    if pictures:
        # At least two at once: one alone can't show that a graph mixes them.
        pixels = np.stack([*pictures, *(noise[:1] if len(pictures) == 1 else ())])
        return Evidence(pixels=pixels, on=f"{len(pictures)} of its own photos")
    return Evidence(pixels=noise, on="random pixels, as its own photos are not there")


def _own_photos(config: Mapping[str, Any]) -> Sequence[Sample]:
    try:
        samples = trained_on(config)
    except (EdgeTransferError, OSError, ValueError):
        return ()
    return samples[:: max(1, len(samples) // COMPARED)][:COMPARED]


def features_in(
    engine: str, backbone: Backbone, images: Float32Array, run: OpenedRun
) -> Float32Array:
    """(n, D) of normalised images, (n, 3, S, S), by a backbone in an engine.

    Raises
    ------
    EngineError
        If the engine cannot run the backbone.
    """
    opened = open_engine(backbone.frozen(len(images)), engine=engine, cache=run.cache)
    try:
        return opened.run(images)
    finally:
        opened.close()


def check_parts(
    backbone: Backbone, head: LinearHead, run: OpenedRun, evidence: Evidence
) -> Verified:
    """Compare a backbone and head with those of the run, in every engine that can run both.

    Raises
    ------
    EdgeTransferError
        If a probability differs by more than rounding, or a weight that was zero is not.
    """
    zeros, before = (_zeros(b) for b in (backbone, run.backbone))
    if zeros != before:
        raise EdgeTransferError(
            f"{run.backbone.path}: of {before:,} weights that are zero {zeros:,} are zero in the "
            "export; nothing was written. Please report this network"
        )
    verified = Verified(on=evidence.on)
    images = evidence.normalised(run.backbone)
    for kind in available_kinds():
        if kind.reduced is not None:
            continue
        ask = partial(features_in, kind.name, images=images, run=run)
        try:
            expected = run.head.predict_proba(ask(run.backbone))
            found = head.predict_proba(ask(backbone))
        except EngineError as error:
            if kind is reference_kind():
                raise
            verified.cannot[kind.name] = str(error)
            continue
        verified.difference[kind.name] = _agreed(found, expected, AGREED, run, kind.title)
    return verified


def check_whole(
    model: onnx.ModelProto, run: OpenedRun, evidence: Evidence, *, inside: bool
) -> float:
    """Compare a merged graph with the run, as somebody with ONNX Runtime alone would run it.

    Returns
    -------
    The largest difference of a probability.

    Raises
    ------
    EngineError
        If the graph cannot be run on so many images at once.
    EdgeTransferError
        If a probability, or a distance by which the unknown are told, differs by more than
        rounding.
    """
    images = evidence.normalised(run.backbone)
    features = features_in(reference_kind().name, run.backbone, images, run)
    expected = run.head.predict_proba(features)
    import onnxruntime

    session = inference_session(model, threads=None)
    silent = onnxruntime.RunOptions()
    silent.log_severity_level = 4  # that a batch does not fit is for the caller to say
    fed = evidence.pixels if inside else images
    step = len(fed) if isinstance(session.get_inputs()[0].shape[0], str) else 1
    outputs = [PROBABILITIES] if run.head.novelty is None else [PROBABILITIES, DISTANCE]
    try:
        parts = [
            session.run(outputs, {INPUT: fed[i : i + step]}, silent)
            for i in range(0, len(fed), step)
        ]
    except Exception as error:  # whatever ONNX Runtime makes of a batch that does not fit
        raise EngineError(f"ONNX Runtime cannot run the merged graph: {error}") from error
    found, *distances = (np.concatenate(output) for output in zip(*parts, strict=True))
    if run.head.novelty is not None:
        known = run.head.novelty.distances(run.head.map(features))
        scale = np.float32(max(run.head.novelty.square, float(np.abs(known).max(initial=0)), 1.0))
        where = "what tells the unknown, in the merged graph"
        _agreed(distances[0] / scale, known / scale, SAME_DISTANCE, run, where)
    return _agreed(found, expected, SAME_ENGINE, run, "the merged graph")


def _zeros(backbone: Backbone) -> int:
    return sum(layer.zeros for layer in backbone.sparsity_report.layers)


def _agreed(
    found: Float32Array, expected: Float32Array, most: float, run: OpenedRun, where: str
) -> float:
    same = found.shape == expected.shape
    difference = float(np.abs(found - expected).max()) if same else float("nan")
    if not difference <= most:
        raise EdgeTransferError(
            f"{run.backbone.path}: backbone and head as one graph give numbers that differ by "
            f"{difference:.1g} from the run's ({where}); nothing was written. Please report this "
            "network"
        )
    return difference
