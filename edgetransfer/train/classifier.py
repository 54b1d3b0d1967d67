"""A trained run at work: predictions and evaluation."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, overload

import numpy as np

from edgetransfer.closing import Closing
from edgetransfer.data import Sample, load_labelled
from edgetransfer.engines import open_engine
from edgetransfer.errors import DataError
from edgetransfer.features import FeatureExtractor, Photo, is_one_photo, plan_for, samples_of
from edgetransfer.heads import LinearHead
from edgetransfer.images import SUFFIXES
from edgetransfer.merging.metadata import check_threshold
from edgetransfer.metrics import Accuracy, StageClock
from edgetransfer.reports.evaluate import EvaluateRecord
from edgetransfer.settings.shared import MAX_BAD, TOP
from edgetransfer.train.opened_run import open_run
from edgetransfer.train.opening import limited_threads
from edgetransfer.train.prediction import Prediction
from edgetransfer.train.predictions import Predictions
from edgetransfer.train.run_page import scored_photos, write_test_page
from edgetransfer.train.seen_before import seen_in_training
from edgetransfer.train.skipping import NAMED, SkippedImages
from edgetransfer.types import Float32Array, Progress, no_progress

logger = logging.getLogger(__name__)


Score: TypeAlias = tuple[Float32Array, Float32Array]
"""A photo's (D,) features and (K,) probabilities."""


class Classifier(Closing):
    """A backbone in an engine, and the head that a run trained on it.

    Made by `Classifier.load`; a context manager.

    Examples
    --------
    >>> from edgetransfer import Classifier
    >>> with Classifier.load("run") as classifier:
    ...     print(classifier.predict("photos/test/red/000.png", top=1).classes)
    ('red',)
    """

    def __init__(
        self,
        head: LinearHead,
        extractor: FeatureExtractor,
        threads: int | None,
        config: Mapping[str, Any],
        *,
        unknown_below: float | None = None,
    ) -> None:
        self.head = head
        self.extractor = extractor
        self._threads = threads
        self._config = config
        self.unknown_below = unknown_below

    def __repr__(self) -> str:
        engine = self.extractor.engine.choice.name
        return f"Classifier({len(self.head.classes)} classes, engine={engine!r})"

    @classmethod
    def load(
        cls,
        run: str | Path,
        *,
        backbone: str | None = None,
        engine: str = "auto",
        threads: int | None = None,
        batch_size: int | None = None,
        unknown_below: float | None = None,
    ) -> Classifier:
        """Open what a run trained: its folder, or a file that `edgetransfer export` wrote.

        Parameters
        ----------
        backbone
            Where the backbone is now, if it was moved; it must be the same file.
        batch_size
            Of the engine; the run's own if None.
        unknown_below
            Below which probability, 0 to 1, a photo shows none of the classes, beside those that
            are too far from all of them; the run's own if None. 0 takes none for unknown.

        Raises
        ------
        EdgeTransferError
            If the run is not finished, or its backbone is missing or another.
        """
        if unknown_below is not None:
            check_threshold(unknown_below)
        opened = open_run(Path(run), backbone=backbone, batch_size=batch_size)
        started = open_engine(
            opened.backbone.frozen(opened.batch_size),
            engine=engine,
            threads=threads,
            cache=opened.cache,
            plan=plan_for(opened.backbone, opened.cache, threads),
        )
        extractor = FeatureExtractor(
            started,
            opened.backbone.preprocessing,
            workers=threads,
            clock=StageClock(),
            cores=threads,
        )
        threshold = opened.unknown_below if unknown_below is None else unknown_below
        return cls(opened.head, extractor, threads, opened.config, unknown_below=threshold)

    def close(self) -> None:
        """Let go of the engine."""
        self.extractor.close()
        self.extractor.engine.close()

    def probabilities(self, samples: Sequence[Sample]) -> Iterator[tuple[int, Float32Array | str]]:
        """Index of each sample, in order, with its (K,) probabilities or the reason for none."""
        for index, found, _ in self._each(samples):
            yield index, found if isinstance(found, str) else found[1]

    def scores(self, samples: Sequence[Sample]) -> Iterator[tuple[int, Score | str]]:
        """Index of each sample, in order, with its features and probabilities, or why none."""
        for index, found, _ in self._each(samples):
            yield index, found

    def _each(self, samples: Sequence[Sample]) -> Iterator[tuple[int, Score | str, bool]]:
        """As `scores`, and whether the head takes each for unknown."""
        with limited_threads(self._threads):
            for batch in self.extractor.extract(samples):
                rows = self.head.predict_proba(batch.features)
                unknown = self.head.unknown(batch.features)
                if unknown is None:
                    unknown = np.zeros(len(rows), bool)
                pairs = zip(batch.features, rows, strict=True)
                found: list[tuple[int, Score | str, bool]] = list(
                    zip(batch.indices.tolist(), pairs, unknown.tolist(), strict=True)
                )
                found += [(index, reason, False) for index, reason in batch.failed]
                yield from sorted(found, key=lambda each: each[0])

    @overload  # a str, too, can be gone through
    def predict(  # type: ignore[overload-overlap]
        self, images: Photo, *, top: int = TOP
    ) -> Prediction: ...

    @overload
    def predict(self, images: Iterable[Photo], *, top: int = TOP) -> Predictions: ...

    def predict(
        self, images: Photo | Iterable[Photo], *, top: int = TOP
    ) -> Prediction | Predictions:
        """What photos show.

        Parameters
        ----------
        images
            A path, the bytes of a file, a picture of Pillow's, an array (H, W, 3) uint8 RGB, or
            a sample; or several of these, or an array (N, H, W, 3).
        top
            Classes to name.

        Returns
        -------
        One prediction of one photo, else a list of them, in order, with ``to_frame()`` for pandas.
        A photo that cannot be decoded has a
        prediction that says why.

        Raises
        ------
        DataError
            If something is no photo by its kind or shape.
        """
        if is_one_photo(images):
            return next(self.predict_each([images], top=top))  # type: ignore[list-item]
        return Predictions(self.predict_each(images, top=top))  # type: ignore[arg-type]

    def predict_each(self, images: Iterable[Photo], *, top: int = TOP) -> Iterator[Prediction]:
        """As `predict` of several, one prediction at a time, in order."""
        samples = samples_of(images)
        for index, result, unknown in self._each(samples):
            sample = samples[index]
            if isinstance(result, str):
                yield Prediction(id=sample.id, error=result)
                continue
            yield self.prediction(sample.id, result[1], top=top, unknown=unknown)

    def prediction(
        self,
        id: str,  # noqa: A002
        probabilities: Float32Array,
        *,
        top: int,
        unknown: bool = False,
    ) -> Prediction:
        """What (K,) probabilities say of a sample; ``unknown`` is what its features say."""
        best = np.argsort(-probabilities, kind="stable")[:top]
        below = probabilities.max() < (self.unknown_below or 0)
        return Prediction(
            id=id,
            classes=tuple(self.head.classes[i] for i in best),
            probabilities=tuple(float(probabilities[i]) for i in best),
            unknown=bool(below or (unknown and self.unknown_below != 0)),
        )

    def evaluate(
        self,
        data: Path,
        *,
        training_photos: bool = False,
        max_bad: float = MAX_BAD,
        page: Path | None = None,
        progress: Progress = no_progress,
    ) -> EvaluateRecord:
        """Test on labelled images, class folders or a manifest; returns accuracies by class too.

        Parameters
        ----------
        training_photos
            Whether photos that the run was trained on are tested on too; if not, they are left
            out, and the result names them.
        page
            An HTML file to write, with the mistakes and what is doubtful about these photos.

        Raises
        ------
        DataError
            If there are none to test on, or a class that the head does not know, or too many are
            broken, or the page cannot be written.
        """
        samples = load_labelled(Path(data), self.head.classes, suffixes=SUFFIXES)
        left_out: list[str] = []
        if not training_photos:
            samples, left_out = self._unseen(data, samples)
        accuracy = Accuracy(len(self.head.classes))
        skipped = SkippedImages(len(samples), max_bad)
        kept: list[tuple[Sample, Score]] = []
        for done, (index, result) in enumerate(self.scores(samples)):
            if isinstance(result, str):
                skipped.add(samples[index], result)
            else:
                label = np.array([samples[index].label])
                accuracy.update(label, np.array([result[1].argmax()]))
                if page is not None:
                    kept.append((samples[index], result))
            progress("testing", done + 1, len(samples))
        if page is not None and kept:
            write_test_page(
                Path(page),
                scored_photos("test", kept),
                self.head,
                self.extractor.engine.choice,
                skipped=skipped.records,
                threads=self._threads,
                progress=progress,
            )
        present = accuracy.confusion.sum(axis=1) > 0
        return {
            "n": accuracy.count,
            **accuracy.shares,
            "per_class": {
                name: float(value)
                for name, value, there in zip(
                    self.head.classes, accuracy.per_class, present, strict=True
                )
                if there
            },
            "confusion": accuracy.confusion.tolist(),
            "skipped": skipped.records,
            "trained_on": left_out,
            "engine": self.extractor.engine.choice.name,
        }

    def _unseen(
        self, data: Path, samples: tuple[Sample, ...]
    ) -> tuple[tuple[Sample, ...], list[str]]:
        """The samples that the run was not trained on, and the ids of the others."""
        seen = seen_in_training(self._config, samples)
        if not seen:
            return samples, []
        if len(seen) == len(samples):
            raise DataError(
                f"{data}: all {len(samples)} photos are among those that the run was trained on, "
                "and say nothing of new ones; give others, or --training-photos to test on these"
            )
        left_out = [samples[i].id for i in seen]
        logger.warning(
            "%d of %d photos are among those that the run was trained on, and are left out (%s); "
            "--training-photos tests on them too",
            len(seen),
            len(samples),
            ", ".join(left_out[:NAMED]) + (", …" if len(left_out) > NAMED else ""),
        )
        return tuple(s for i, s in enumerate(samples) if i not in seen), left_out
