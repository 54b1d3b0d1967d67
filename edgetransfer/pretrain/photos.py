"""The photos of a training, as batches: augmented views, the same for a number of an epoch."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgetransfer.data import DataSplits, Sample, find_images, load_data
from edgetransfer.data.sheets import load_sheets
from edgetransfer.errors import DataError
from edgetransfer.features import FeatureExtractor, TrainView
from edgetransfer.finetune.pixels import PixelEngine
from edgetransfer.images import SUFFIXES
from edgetransfer.pretrain.mislabelled import Mislabelled, mislabelled
from edgetransfer.settings.pretrain import Pretraining
from edgetransfer.train.epochs import LearningBatch, OnlineEpochs
from edgetransfer.train.skipping import SkippedImages
from edgetransfer.types import Float32Array, IntArray, Preprocessing

TUNING_EPOCH = 1 << 20  # so that no view is one of the training's
SAMPLES_EPOCH = 1 << 21


def load_photos(settings: Pretraining) -> DataSplits:
    """The photos that the settings name, split.

    Raises
    ------
    DataError
        If there is nothing to learn from, or a class has one photo and none to test on.
    """
    if not settings.labels:
        return _without_labels(settings)
    if settings.tile is not None:
        splits = load_sheets(
            settings.data, settings.tile, val_fraction=settings.val_fraction, seed=settings.seed
        )
    else:
        splits = load_data(
            settings.data,
            suffixes=SUFFIXES,
            test_data=settings.test_data,
            val_fraction=0.0 if settings.test_data else _held_out(settings),
            seed=settings.seed,
        )
    _check_counts(settings.data, splits)
    return splits


def _held_out(settings: Pretraining) -> float:
    plain = load_data(settings.data, suffixes=SUFFIXES, seed=settings.seed)
    return 0.0 if plain.val or plain.test else settings.val_fraction


def _without_labels(settings: Pretraining) -> DataSplits:
    if not settings.data.is_dir():
        raise DataError(f"{settings.data}: no such folder; --no-labels takes a folder of photos")
    found_here = sorted(find_images(settings.data, suffixes=SUFFIXES))
    order = np.random.default_rng((settings.seed, len(found_here))).permutation(len(found_here))
    paths = [found_here[i] for i in order]
    held = max(1, round(settings.val_fraction * len(paths)))
    if len(paths) - held < 2:
        raise DataError(f"{settings.data}: {len(paths)} photos are too few to learn from")
    found = tuple(
        Sample(id=str(path.relative_to(settings.data)), source=path, label=0) for path in paths
    )
    return DataSplits(classes=("any",), train=found[held:], val=found[:held])


def _check_counts(data: Path, splits: DataSplits) -> None:
    counts = np.bincount([s.label for s in splits.train], minlength=len(splits.classes))
    tested = np.bincount([s.label for s in splits.val or splits.test], minlength=len(counts))
    for name, learned, held in zip(splits.classes, counts, tested, strict=True):
        if learned + held < 2:
            raise DataError(
                f"{data}: class {name!r} has one photo: none is left to test it on; add photos, "
                "or remove the class"
            )


@dataclass(kw_only=True)
class Photos:
    """Views of the photos for a training.

    Parameters
    ----------
    splits
        Which there are.
    extractor
        Brings them to torch as they are.
    skipped
        Told of those that cannot be used.
    mislabelled
        Training photos that are learned under a wrong label.
    """

    splits: DataSplits
    extractor: FeatureExtractor
    skipped: SkippedImages
    view: TrainView
    batch_size: int
    mislabelled: tuple[Mislabelled, ...] = ()

    @property
    def per_epoch(self) -> int:
        """Batches of an epoch; the rest below a whole batch waits for another one's order."""
        return max(1, len(self.splits.train) // self.batch_size)

    @property
    def tested(self) -> tuple[Sample, ...]:
        """The photos that accuracy is told by."""
        return self.splits.val or self.splits.test

    def epoch(
        self, epoch: int, excluded: frozenset[str], begin: int
    ) -> Generator[LearningBatch, None, None]:
        """The batches of an epoch, from one on; what cannot be used is counted as skipped."""
        source = OnlineEpochs(self.extractor, self.splits.train, self.view)
        order = source.order(epoch, excluded)
        whole = order[begin * self.batch_size : self.per_epoch * self.batch_size]
        batches = source.batches(epoch, whole)
        try:
            for batch in batches:
                for sample, reason in batch.failed:
                    self.skipped.add(sample, reason)
                yield batch
        finally:
            batches.close()

    def drawn(
        self, count: int, size: int, number: int, *, epoch: int = SAMPLES_EPOCH
    ) -> Iterator[tuple[Float32Array, IntArray]]:
        """So many batches of so many augmented training views; a function of the number alone."""
        train = [sample for sample in self.splits.train if sample not in self.skipped]
        rng = np.random.default_rng((self.view.seed, epoch, number))
        order = np.concatenate(
            [rng.permutation(len(train)) for _ in range(-(-count * size // len(train)))]
        )[: count * size].astype(np.int64)
        rows: list[Float32Array] = []
        labels: list[int] = []
        view = replace(self.view, epoch=epoch + number)
        with contextlib.closing(self.extractor.extract(train, order, train=view)) as stream:
            for batch in stream:
                rows += list(batch.features.copy())
                labels += [train[i].label for i in batch.indices]
                while len(rows) >= size:
                    yield np.stack(rows[:size]), np.array(labels[:size], np.int64)
                    rows, labels = rows[size:], labels[size:]
        if len(rows) > 1:
            yield np.stack(rows), np.array(labels, np.int64)

    def eval_views(self, samples: Sequence[Sample]) -> Iterator[tuple[Float32Array, IntArray]]:
        """The eval views of photos, with their labels."""
        usable = [sample for sample in samples if sample not in self.skipped]
        for batch in self.extractor.extract(usable):
            for index, reason in batch.failed:
                self.skipped.add(usable[index], reason)
            labels = np.array([usable[i].label for i in batch.indices], np.int64)
            if len(labels):
                yield batch.features, labels


@contextlib.contextmanager
def opened_photos(
    settings: Pretraining, splits: DataSplits, preprocessing: Preprocessing
) -> Iterator[Photos]:
    """The photos, and the threads that decode them.

    Raises
    ------
    DataError
        If labels are to be wrong, and none can be.
    """
    learned, wrong = mislabelled(splits, settings.random_labels, settings.seed)
    size = preprocessing.size
    batch = min(settings.batch_size, len(splits.train))
    engine = PixelEngine(batch_size=batch, size=size, version="1")
    total = len(splits.train) + len(splits.val) + len(splits.test)
    workers = settings.workers or settings.threads
    with FeatureExtractor(engine, preprocessing, workers=workers) as extractor:
        yield Photos(
            splits=learned,
            extractor=extractor,
            mislabelled=wrong,
            skipped=SkippedImages(total, settings.max_bad),
            view=TrainView(
                seed=settings.seed,
                epoch=0,
                area=(settings.min_crop, 1.0),
                flip=0.5 if settings.flip else 0.0,
            ),
            batch_size=batch,
        )
