"""A backbone with its own classifier on labelled photos: its upstream accuracy.

It is what published figures say of a network, and what a sparse file must be compared with its
dense parent by.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgetransfer.backbones import Backbone
from edgetransfer.data import Sample, find_images, load_data
from edgetransfer.engines import open_engine
from edgetransfer.errors import BackboneError
from edgetransfer.features import FeatureExtractor, default_cache_folder
from edgetransfer.images import SUFFIXES
from edgetransfer.metrics import Accuracy
from edgetransfer.reports.evaluate import ClassifierRecord
from edgetransfer.settings.evaluate import ClassifierTest
from edgetransfer.train.class_names import match_classes, wnid_of
from edgetransfer.train.opening import limited_threads
from edgetransfer.train.skipping import SkippedImages
from edgetransfer.types import Float32Array, IntArray, Progress, no_progress

logger = logging.getLogger(__name__)

TOP = 5


def evaluate_upstream(
    backbone: str | Path, data: Path, test: ClassifierTest, progress: Progress = no_progress
) -> ClassifierRecord:
    """Run a whole network, classifier included, on labelled photos.

    Parameters
    ----------
    data
        Labelled photos: class folders, a manifest, or files that are called by their wnids
        (``n01440764_3.jpg``). A ``test`` split counts before a ``val`` split.

    Returns
    -------
    ``top1`` and ``top5`` over all outputs of the network and ``mean_per_class``, each 0 to 1,
    with what they were measured on.

    Raises
    ------
    BackboneError
        If the file has no classifier.
    DataError
        If the classes cannot be matched with outputs, or too many photos are broken.
    """
    whole = open_whole(backbone)
    classes, samples, split = _load(data)
    matched = match_classes(classes, whole.dimension, test.labels)
    outputs = np.array(matched.outputs)
    accuracy, best_five = Accuracy(whole.dimension), 0
    skipped = SkippedImages(len(samples), test.max_bad)
    engine = open_engine(
        whole.frozen(test.batch_size),
        engine=test.engine,
        threads=test.threads,
        cache=default_cache_folder(),
    )
    with (
        limited_threads(test.threads),
        FeatureExtractor(
            engine, whole.preprocessing, workers=test.threads, cores=test.threads
        ) as extractor,
    ):
        try:
            for batch in extractor.extract(samples):
                for index, reason in batch.failed:
                    skipped.add(samples[index], reason)
                labels = outputs[[samples[index].label for index in batch.indices.tolist()]]
                accuracy.update(labels, batch.features.argmax(axis=1))
                best_five += _among_best(batch.features, labels, TOP)
                progress("testing", accuracy.count + len(skipped), len(samples))
        finally:
            engine.close()
    return {
        "backbone": whole.record,
        "n": accuracy.count,
        "split": split,
        **accuracy.shares,
        "top5": best_five / accuracy.count if accuracy.count else float("nan"),
        "classes": len(classes),
        "outputs": whole.dimension,
        "matched_by": matched.by,
        "skipped": skipped.records,
        "engine": engine.choice.name,
    }


def open_whole(backbone: str | Path) -> Backbone:
    """A backbone that is not cut: its features are the logits, or what is made of them.

    Raises
    ------
    BackboneError
        If there is no classifier in the file.
    """
    opened = Backbone.open(backbone)
    for warning in opened.warnings:
        logger.warning("%s", warning)
    if opened.classifier is None:
        raise BackboneError(
            f"{opened.path}: it ends at its features ({opened.dimension} numbers): there is no "
            "classifier in it to be tested. Train a head on it, and evaluate that run"
        )
    return Backbone.open(backbone, features=opened.classifier.graph.output[0].name)


def _load(data: Path) -> tuple[tuple[str, ...], tuple[Sample, ...], str]:
    """The classes, the labelled photos, and the split that they are of."""
    if data.is_dir():
        files = [p for p in find_images(data, suffixes=SUFFIXES) if p.parent == data]
        ids = [wnid_of(file.name) for file in files]
        if files and all(ids):
            classes = tuple(sorted({name for name in ids if name}))
            places = {name: place for place, name in enumerate(classes)}
            samples = tuple(
                Sample(id=file.name, source=file, label=places[name])
                for file, name in zip(files, ids, strict=True)
                if name
            )
            return classes, samples, "all"
    splits = load_data(data, suffixes=SUFFIXES)
    if splits.test or splits.val:
        split = "test" if splits.test else "val"
        return splits.classes, splits.test or splits.val, split
    return splits.classes, splits.train, "all"


def _among_best(scores: Float32Array, labels: IntArray, top: int) -> int:
    """How many rows have their label's score among their best."""
    own = scores[np.arange(len(labels)), labels]
    better: Sequence[int] = (scores > own[:, None]).sum(axis=1).tolist()
    return sum(count < top for count in better)
