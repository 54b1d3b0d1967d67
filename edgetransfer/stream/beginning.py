"""A stream that begins with the photos of a `train` run: learned as if they had arrived first."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from threading import Event

import numpy as np

from edgetransfer.data import Sample, load_data
from edgetransfer.data.streams import Arrival
from edgetransfer.errors import DataError, RunFolderError, UsageError
from edgetransfer.features import FeatureCache, cached_features, default_cache_folder
from edgetransfer.features.cache import rows_identity
from edgetransfer.features.table_folder import is_table_folder, open_tables
from edgetransfer.heads import LinearHead
from edgetransfer.images import SUFFIXES
from edgetransfer.reprs import short_repr
from edgetransfer.runs import RunFolder
from edgetransfer.runs.run_folder import BACKBONE, HEAD
from edgetransfer.settings.config import load
from edgetransfer.settings.shared import DEFAULT_BACKBONE, BackboneReading
from edgetransfer.settings.stream import StreamSettings
from edgetransfer.settings.train import LinearTraining
from edgetransfer.stream.keeping.journal import JournalFullError
from edgetransfer.stream.learner import OnlineLearner
from edgetransfer.stream.learning.offers import Offer
from edgetransfer.stream.opening import FeatureSource
from edgetransfer.types import Float32Array
from edgetransfer.untrusted_json import json_value

logger = logging.getLogger(__name__)

AT_ONCE = 256  # photos that are learned between two looks at whether to stop
RETRY = 1.0  # seconds until a disk that was full is tried again


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """The run that a stream begins from.

    Parameters
    ----------
    run
        Its folder.
    training
        What it was trained on.
    head
        What it learned, which says how photos were seen.
    """

    run: RunFolder
    training: LinearTraining
    head: LinearHead

    __repr__ = short_repr

    @classmethod
    def of(cls, path: Path) -> Beginning:
        """Open a run of `train` or `finetune`.

        Raises
        ------
        RunFolderError
            If it is none, is not finished, or does not say what it was trained on.
        """
        run = RunFolder.open(path)
        config = run.read_config()
        if "stream" in config:
            raise RunFolderError(f"{path}: a stream's run; go on with it by --out {path}")
        if not config.get("data"):
            raise RunFolderError(
                f"{path}: it does not say what it was trained on; is it an export?"
            )
        for name in ("finetune", "plan"):
            config.pop(name, None)
        if run.file(BACKBONE).is_file():
            config["backbone"] = str(run.file(BACKBONE))
        head = LinearHead.load(run.file(HEAD))
        return cls(run=run, training=load(LinearTraining, config, path), head=head)

    def seen_alike(self, settings: StreamSettings) -> StreamSettings:
        """The settings with the run's backbone and preprocessing, where they name none."""
        names = [field.name for field in fields(BackboneReading)]
        usual = {field.name: field.default for field in fields(BackboneReading)}
        own = {name: getattr(settings, name) for name in names}
        if settings.backbone != DEFAULT_BACKBONE or own != usual:
            return settings
        theirs = {name: getattr(self.training, name) for name in names}
        return replace(settings, backbone=self.training.backbone, **theirs)

    @property
    def of_tables(self) -> bool:
        """Whether it was trained on tables of features."""
        return is_table_folder(self.training.data)

    def check(self, feature_source: FeatureSource) -> None:
        """Refuse features that are made otherwise than the run's.

        Raises
        ------
        UsageError
            Naming the difference.
        """
        for what in ("backbone", "preprocessing"):
            own, given = (
                said.get(what, "{}") for said in (self.head.metadata, feature_source.metadata)
            )
            if what == "preprocessing":
                own, given = json_value(own), json_value(given)
            if own != given:
                raise UsageError(
                    f"{self.run.path}: this run has another {what} than the stream is given; give "
                    "the same, or none, and the run's own is taken"
                )

    def samples(self) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
        """The photos that it was trained on, and the classes that their labels count.

        Raises
        ------
        DataError
            If they are not there any more.
        """
        training = self.training
        splits = load_data(
            training.data,
            suffixes=SUFFIXES,
            test_data=training.test_data,
            val_fraction=training.val_fraction,
            seed=training.seed,
        )
        return splits.train, splits.classes


def begin(
    beginning: Beginning, learner: OnlineLearner, feature_source: FeatureSource, stop: Event
) -> None:
    """Learn the photos of a run that are not learned yet.

    Each is as durable as if it had arrived: a call that was killed goes on where it stood, and a
    photo can be forgotten and relabelled by its id, which is its path. Features come from the
    cache where it has them.

    Raises
    ------
    DataError
        If the photos are not there any more, and were not learned before.
    """
    durable = learner.durable
    if beginning.of_tables:
        _begin_with_tables(beginning, learner, stop)
        return
    try:
        samples, classes = beginning.samples()
    except DataError:
        if not durable.learner.counts.accepted:
            raise
        logger.warning("%s: its photos are not there any more", beginning.run.path)
        return
    new = [sample for sample in samples if not durable.known(sample.id)]
    if not new:
        return
    logger.info("beginning with %d photos of %s", len(new), beginning.run.path)
    cache = None
    if not learner.settings.learning.views:
        identity = rows_identity(
            feature_source.metadata["backbone"],
            feature_source.preprocessing,
            feature_source.engine.choice,
        )
        folder = beginning.training.cache_dir or default_cache_folder()
        cache = FeatureCache(folder, identity, learner.engine.dimension)
    for first in range(0, len(new), AT_ONCE):
        if stop.is_set():
            return
        part = new[first : first + AT_ONCE]
        rows = _viewed(learner, part) if cache is None else _seen(learner, part, cache)
        offers = [
            Offer(id=sample.id, label=classes[sample.label], rows=rows[i])
            for i, sample in enumerate(part)
            if i in rows
        ]
        _accept(learner, offers, stop)
        logger.info("%d of %d photos", first + len(part), len(new))


def _begin_with_tables(beginning: Beginning, learner: OnlineLearner, stop: Event) -> None:
    """Learn the training rows of tables that a run learned from, a group of them at a time.

    Raises
    ------
    UsageError
        If augmented views are asked for: the photos are not there.
    DataError
        If the tables are not whole any more, and were not learned before.
    """
    folder = beginning.training.data
    if learner.settings.learning.views:
        raise UsageError(f"--views: {folder} are tables of features, and the photos are not there")
    try:
        files = open_tables(folder).files
    except DataError:
        if not learner.durable.learner.counts.accepted:
            raise
        logger.warning("%s: its tables are not there any more", beginning.run.path)
        return
    for done, file in enumerate(files, 1):
        for rows in file.rows():
            own = rows.labelled("train")
            for first in range(0, len(own), AT_ONCE):
                if stop.is_set():
                    return
                offers = [
                    Offer(id=rows.ids[i], label=rows.labels[i], rows=rows.features[i][None])
                    for i in own[first : first + AT_ONCE]
                ]
                _accept(learner, offers, stop)
        logger.info("%d of %d tables", done, len(files))


def _seen(
    learner: OnlineLearner, part: Sequence[Sample], cache: FeatureCache
) -> dict[int, Float32Array]:
    """The (1, D) rows of photos by place."""
    skipped: set[str] = set()

    def skip(sample: Sample, reason: str) -> None:
        skipped.add(sample.id)
        logger.warning("skipped %s: %s", sample.id, reason)

    table = cached_features(learner.extractor, part, cache=cache, skip=skip)
    places = [i for i, sample in enumerate(part) if sample.id not in skipped]
    return {
        i: row[None]
        for i, row in zip(places, table.features, strict=True)
        if np.isfinite(row).all()
    }


def _viewed(learner: OnlineLearner, part: Sequence[Sample]) -> dict[int, Float32Array]:
    """The (views, D) rows of photos by place: augmented views are in no cache."""
    found: dict[int, Float32Array] = {}
    batch = learner.settings.engine_batch
    for first in range(0, len(part), batch):
        arrivals = [
            Arrival(id=sample.id, source=sample.source) for sample in part[first : first + batch]
        ]
        rows, problems = learner.rows(arrivals)
        found |= {first + i: row for i, row in rows.items()}
        for i, reason in problems.items():
            logger.warning("skipped %s: %s", arrivals[i].id, reason)
    return found


def _accept(learner: OnlineLearner, offers: list[Offer], stop: Event) -> None:
    """Take offers in; on a full disk, once there is room."""
    while True:
        try:
            learner.durable.accept([o for o in offers if not learner.durable.known(o.id)])
            return
        except JournalFullError as full:
            logger.warning("paused: %s; make room, and it goes on", full)
            if stop.wait(RETRY):
                return
