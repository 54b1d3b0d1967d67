"""A trained run at work: predictions and evaluation."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.catalogue import is_known
from edgetransfer.data import Sample, load_labelled
from edgetransfer.engines import open_engine
from edgetransfer.errors import BackboneError, DataError, RunFolderError, UsageError
from edgetransfer.features import FeatureExtractor, default_cache_folder, plan_for
from edgetransfer.heads import LinearHead
from edgetransfer.images import SUFFIXES
from edgetransfer.linear.opening import limited_threads
from edgetransfer.linear.seen_before import seen_in_training
from edgetransfer.linear.settings import LinearTraining
from edgetransfer.linear.skipping import NAMED, SkippedImages
from edgetransfer.metrics import Accuracy, StageClock
from edgetransfer.reports import RunFolder
from edgetransfer.reports.pending import pending
from edgetransfer.reports.run_folder import BACKBONE, HEAD
from edgetransfer.types import Float32Array, Preprocessing, Progress, no_progress

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
    """

    id: str
    classes: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    error: str | None = None


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
    ) -> None:
        self.head = head
        self.extractor = extractor
        self._threads = threads
        self._config = config

    @classmethod
    def load(
        cls,
        run: str | Path,
        *,
        backbone: str | None = None,
        engine: str = "auto",
        threads: int | None = None,
        batch_size: int | None = None,
    ) -> Classifier:
        """Open what a run trained.

        Parameters
        ----------
        backbone
            Where the backbone is now, if it was moved; it must be the same file.
        batch_size
            Of the engine; the run's own if None.

        Raises
        ------
        EdgeTransferError
            If the run is not finished, or its backbone is missing or another.
        """
        folder = RunFolder.open(Path(run))
        if (change := pending(folder.path)) is not None:
            raise RunFolderError(
                f"{run}: {change} was cut off, so its head may be an old one; `edgetransfer check "
                f"{run}` says more, and the next start of the stream finishes it"
            )
        head = LinearHead.load(folder.file(HEAD))
        settings = _settings_of(folder, head, backbone=backbone, batch_size=batch_size)
        if backbone is None and not is_known(settings.backbone):
            raise BackboneError(
                f"{settings.backbone}: the run's backbone is no longer there; if it was moved, "
                "give --backbone FILE"
            )
        # Preprocessing is the head's own: what a card says by now must not change what it predicts.
        given = _preprocessing_of(folder, head)
        opened = Backbone.open(settings.backbone, features=settings.features).seeing(given)
        head.check_backbone(opened.identity, folder.file(HEAD))
        started = open_engine(
            opened.frozen(settings.batch_size),
            engine=engine,
            threads=threads,
            cache=(cache := settings.cache_dir or default_cache_folder()),
            plan=plan_for(opened, cache, threads),
        )
        extractor = FeatureExtractor(
            started, opened.preprocessing, workers=threads, clock=StageClock(), cores=threads
        )
        return cls(head, extractor, threads, folder.read_config())

    def __enter__(self) -> Classifier:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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

    def predict(self, images: Sequence[Sample | Path | bytes], *, top: int = 5) -> list[Prediction]:
        """Predict images: samples, files, or the bytes of files."""
        return list(self.predict_each(images, top=top))

    def predict_each(
        self, images: Sequence[Sample | Path | bytes], *, top: int = 5
    ) -> Iterator[Prediction]:
        """As `predict`, one prediction at a time, in order."""
        samples = [_as_sample(image, i) for i, image in enumerate(images)]
        for index, result in self.probabilities(samples):
            sample = samples[index]
            if isinstance(result, str):
                yield Prediction(id=sample.id, error=result)
                continue
            best = np.argsort(-result, kind="stable")[:top]
            yield Prediction(
                id=sample.id,
                classes=tuple(self.head.classes[i] for i in best),
                probabilities=tuple(float(result[i]) for i in best),
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


def _as_sample(image: Sample | Path | bytes, index: int) -> Sample:
    if isinstance(image, Sample):
        return image
    return Sample(id=f"image {index}" if isinstance(image, bytes) else str(image), source=image)


def _preprocessing_of(folder: RunFolder, head: LinearHead) -> Preprocessing:
    try:
        values = json.loads(head.metadata["preprocessing"])
        for name in ("mean", "std"):
            values[name] = tuple(values[name])
        return Preprocessing(**values)
    except (KeyError, TypeError, ValueError, UsageError) as error:
        raise RunFolderError(
            f"{folder.file(HEAD)}: its preprocessing is not of this version: {error}"
        ) from error


def _settings_of(
    folder: RunFolder, head: LinearHead, *, backbone: str | None, batch_size: int | None
) -> LinearTraining:
    """The settings of a run, as far as opening its backbone goes.

    The feature tensor is the head's own: another place of the file must not change what it
    predicts.
    """
    config = folder.read_config()
    for name in ("stream", "finetune", "plan"):  # these say nothing of its backbone
        config.pop(name, None)
    if folder.file(BACKBONE).is_file():
        config["backbone"] = str(folder.file(BACKBONE))
    config["features"] = head.metadata["features"]
    for name in ("mean", "std"):
        if name in config:
            config[name] = tuple(config[name])
    for name in ("data", "out", "test_data", "cache_dir"):
        if name in config:
            config[name] = Path(config[name])
    if backbone is not None:
        config["backbone"] = backbone
    if batch_size is not None:
        config["batch_size"] = batch_size
    try:
        return LinearTraining(**config)
    except (TypeError, UsageError) as error:
        raise RunFolderError(
            f"{folder.path}: its config.toml is not of this version: {error}"
        ) from error
