"""A trained run at work: predictions and evaluation."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, overload

import numpy as np

from edgetransfer.data import Sample, load_labelled
from edgetransfer.engines import open_engine
from edgetransfer.errors import DataError
from edgetransfer.features import FeatureExtractor, Photo, is_one_photo, plan_for, samples_of
from edgetransfer.heads import LinearHead
from edgetransfer.images import SUFFIXES
from edgetransfer.merging.metadata import check_threshold
from edgetransfer.metrics import Accuracy, StageClock
from edgetransfer.reprs import short_repr
from edgetransfer.train.opened_run import open_run
from edgetransfer.train.opening import limited_threads
from edgetransfer.train.seen_before import seen_in_training
from edgetransfer.train.skipping import NAMED, SkippedImages
from edgetransfer.types import Float32Array, Progress, no_progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What one image is taken for.

    Parameters
    ----------
    id
        Of the sample.
    classes
        Class names, the most probable first; empty if the image could not be decoded.
    probabilities
        Of these classes, each 0 to 1.
    error
        Why it could not be decoded, else None.
    unknown
        Whether no class reaches the probability below which a photo shows none of them.
    """

    id: str
    classes: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    error: str | None = None
    unknown: bool = False

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """The fields by name: a row of a data frame, or JSON."""
        return asdict(self)


class Classifier:
    """A backbone in an engine, and the head that a run trained on it.

    Made by `Classifier.load`; a context manager.
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
            Below which probability a photo shows none of the classes, 0 to 1; the run's own if
            None.

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

    def __enter__(self) -> Classifier:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the engine."""
        self.extractor.close()
        self.extractor.engine.close()

    def probabilities(self, samples: Sequence[Sample]) -> Iterator[tuple[int, Float32Array | str]]:
        """Index of each sample, in order, with its (K,) probabilities or the reason for none."""
        with limited_threads(self._threads):
            for batch in self.extractor.extract(samples):
                rows = self.head.predict_proba(batch.features)
                found: list[tuple[int, Float32Array | str]] = list(
                    zip(batch.indices.tolist(), rows, strict=True)
                )
                yield from sorted([*found, *batch.failed], key=lambda pair: pair[0])

    @overload  # a str, too, can be gone through
    def predict(  # type: ignore[overload-overlap]
        self, images: Photo, *, top: int = 5
    ) -> Prediction: ...

    @overload
    def predict(self, images: Iterable[Photo], *, top: int = 5) -> list[Prediction]: ...

    def predict(
        self, images: Photo | Iterable[Photo], *, top: int = 5
    ) -> Prediction | list[Prediction]:
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
        One prediction of one photo, else a list, in order. A photo that cannot be decoded has a
        prediction that says why.

        Raises
        ------
        DataError
            If something is no photo by its kind or shape.
        """
        if is_one_photo(images):
            return next(self.predict_each([images], top=top))  # type: ignore[list-item]
        return list(self.predict_each(images, top=top))  # type: ignore[arg-type]

    def predict_each(self, images: Iterable[Photo], *, top: int = 5) -> Iterator[Prediction]:
        """As `predict` of several, one prediction at a time, in order."""
        samples = samples_of(images)
        for index, result in self.probabilities(samples):
            sample = samples[index]
            if isinstance(result, str):
                yield Prediction(id=sample.id, error=result)
                continue
            yield self.prediction(sample.id, result, top=top)

    def prediction(self, id: str, probabilities: Float32Array, *, top: int) -> Prediction:  # noqa: A002
        """What (K,) probabilities say of a sample."""
        best = np.argsort(-probabilities, kind="stable")[:top]
        below = self.unknown_below is not None and probabilities.max() < self.unknown_below
        return Prediction(
            id=id,
            classes=tuple(self.head.classes[i] for i in best),
            probabilities=tuple(float(probabilities[i]) for i in best),
            unknown=bool(below),
        )

    def evaluate(
        self,
        data: Path,
        *,
        training_photos: bool = False,
        max_bad: float = 0.05,
        progress: Progress = no_progress,
    ) -> dict[str, Any]:
        """Test on labelled images, class folders or a manifest; returns accuracies by class too.

        Parameters
        ----------
        training_photos
            Whether photos that the run was trained on are tested on too; if not, they are left
            out, and the result names them.

        Raises
        ------
        DataError
            If there are none to test on, or a class that the head does not know, or too many are
            broken.
        """
        samples = load_labelled(Path(data), self.head.classes, suffixes=SUFFIXES)
        left_out: list[str] = []
        if not training_photos:
            samples, left_out = self._unseen(data, samples)
        accuracy = Accuracy(len(self.head.classes))
        skipped = SkippedImages(len(samples), max_bad)
        for done, (index, result) in enumerate(self.probabilities(samples)):
            if isinstance(result, str):
                skipped.add(samples[index], result)
            else:
                label = np.array([samples[index].label])
                accuracy.update(label, np.array([result.argmax()]))
            progress("testing", done + 1, len(samples))
        present = accuracy.confusion.sum(axis=1) > 0
        return {
            "n": accuracy.count,
            "top1": accuracy.top1,
            "mean_per_class": accuracy.mean_per_class,
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
