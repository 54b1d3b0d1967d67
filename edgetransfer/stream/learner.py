"""`OnlineLearner`: images in, a classifier that is better with each of them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np

from edgetransfer.data import Sample, checked_label, load_labelled
from edgetransfer.data.streams import Arrival
from edgetransfer.errors import UsageError
from edgetransfer.features import FeatureBatch, FeatureExtractor, TrainView, ViewBatch
from edgetransfer.features.table_folder import is_table_folder
from edgetransfer.images import SUFFIXES
from edgetransfer.metrics import Accuracy, StageClock
from edgetransfer.reports.shared import Accuracies
from edgetransfer.runs import RunFolder
from edgetransfer.runs.asking import LetterBox
from edgetransfer.runs.begun_backbone import as_begun
from edgetransfer.runs.owning import FolderOwner, make_folder
from edgetransfer.settings.config import differs, dump, load
from edgetransfer.settings.learning import LearningSettings
from edgetransfer.settings.stream import StreamSettings
from edgetransfer.stream.keeping.durable import DurableLearner
from edgetransfer.stream.keeping.in_hand import InHand
from edgetransfer.stream.keeping.recovery import begun_stream
from edgetransfer.stream.learning.ids import id_key
from edgetransfer.stream.learning.offers import Offer, Receipt
from edgetransfer.stream.opening import FeatureSource, open_feature_source
from edgetransfer.stream.table_scoring import scored_on_tables
from edgetransfer.types import Float32Array

logger = logging.getLogger(__name__)

LARGEST_FILE = 256 * 2**20


class OnlineLearner:
    """A classifier that learns images one after the other, and is on disk at every moment.

    A run folder that exists is gone on with. A context manager; leaving it learns what
    waits for a full batch, and saves a checkpoint.

    Parameters
    ----------
    settings
        Backbone, run folder and how to learn; ``source`` is not used here.
    feature_source
        What turns images into features; opened from the settings if None.

    Raises
    ------
    EdgeTransferError
        If the backbone, the engine or the run folder cannot be used.

    Examples
    --------
    >>> from edgetransfer import OnlineLearner, StreamSettings
    >>> settings = StreamSettings(source="", out="mine", backbone="small.onnx")
    >>> with OnlineLearner(settings) as learner:
    ...     learner.learn("photos/train/red/000.png", "red").status
    'accepted'
    """

    def __init__(
        self, settings: StreamSettings, *, feature_source: FeatureSource | None = None
    ) -> None:
        self.settings = settings = as_begun(settings)
        begun_stream(RunFolder(settings.out))
        opened = feature_source if feature_source is not None else open_feature_source(settings)
        self.engine = opened.engine
        self._identity = opened.identity
        make_folder(settings.out)
        owner = FolderOwner(settings.out, "stream")
        try:
            run = RunFolder.begin(settings.out, resume=True, overwrite=False)
            learning = _agreed(run, settings)
        except BaseException:
            owner.release()
            raise
        self._owner = owner
        self.clock = StageClock()
        self.durable = DurableLearner(
            run,
            opened.engine.dimension,
            learning,
            settings.keeping,
            identity=opened.identity,
            head_metadata=opened.metadata,
            owner=owner,
        )
        try:
            self.in_hand = InHand(run.path, self.durable.ids.__contains__)
        except BaseException:
            self.durable.close()
            raise
        self.extractor = FeatureExtractor(
            opened.engine,
            opened.preprocessing,
            workers=settings.workers or settings.threads,
            clock=self.clock,
            cores=settings.threads,
            watch=self.in_hand,
        )

    def __enter__(self) -> OnlineLearner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                with blas_on_one_thread():
                    self.durable.flush()
                self.durable.save()
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the run without a checkpoint; nothing is lost by that."""
        self.extractor.close()
        self.in_hand.close()
        self.engine.close()
        self.durable.close()

    def letters(self) -> LetterBox:
        """What others ask to be done to the run, which this process looks for from now on."""
        self._owner.listen()
        return LetterBox(self.durable.run.path)

    def learn(
        self,
        image: str | Path | bytes,
        label: str | None,
        *,
        id: str | None = None,  # noqa: A002
    ) -> Receipt:
        """Predict an image, then learn it; when this returns it is on disk.

        Parameters
        ----------
        label
            A class name, new or not; None to give it later, by `label`.
        id
            One that was accepted before is not learned again; the sha256 of the file if None.

        Raises
        ------
        DataError
            If no class can be called so.
        JournalFullError
            If the disk is full; the call may be repeated.
        """
        label = None if label is None else checked_label(label)
        arrival = _arrival(image, label, id)
        rows, problems = self.rows([arrival])
        if problems:
            return Receipt(id=arrival.id, status="rejected", reason=problems[0])
        with blas_on_one_thread():
            return self.durable.accept([Offer(id=arrival.id, label=label, rows=rows[0])])[0]

    def label(self, id: str, label: str) -> Receipt:  # noqa: A002
        """Give an earlier, unlabelled sample its label, and learn it; errors as of `learn`."""
        label = checked_label(label)
        with blas_on_one_thread():
            return self.durable.accept([Offer(id=id, label=label, rows=None)])[0]

    def predict(self, image: str | Path | bytes) -> dict[str, float]:
        """Probability by class, the most probable first; empty without classes.

        Raises
        ------
        UsageError
            If it is not an image.
        """
        rows, problems = self.rows([_arrival(image, None, None)])
        if problems:
            raise UsageError(f"cannot be predicted: {problems[0]}")
        return self.probabilities(rows[0])

    def probabilities(self, rows: Float32Array) -> dict[str, float]:
        """As `predict`, of the (views, D) rows of one image."""
        head = self.durable.learner.newest
        if not head.classes:
            return {}
        mean = head.predict_proba(rows).mean(axis=0)
        best = np.argsort(-mean, kind="stable")
        return {head.classes[i]: float(mean[i]) for i in best}

    def view_batches(self, arrivals: Sequence[Arrival]) -> list[ViewBatch]:
        """What the extractor is to make of at most one engine batch of images.

        The augmented views of an image depend on (seed, its id, number of the view) alone.
        """
        samples = [Sample(id=a.id, source=a.source or b"") for a in arrivals]
        indices = np.arange(len(samples))
        views = self.settings.learning.views
        if not views:
            return [ViewBatch(samples=samples, indices=indices)]
        keys = np.array([int.from_bytes(id_key(a.id)[:8], "little") >> 1 for a in arrivals])
        seed = self.settings.learning.seed
        return [
            ViewBatch(
                samples=samples,
                indices=indices,
                keys=keys,
                train=TrainView(seed=seed, epoch=view),
            )
            for view in range(views)
        ]

    def rows(self, arrivals: Sequence[Arrival]) -> tuple[dict[int, Float32Array], dict[int, str]]:
        """The (views, D) rows of at most one engine batch of images, or what is wrong, by place."""
        batches = iter(self.view_batches(arrivals))
        return gather(list(self.extractor.extract_stream(lambda _wait: next(batches, None))))

    def evaluate(self, data: Path) -> Accuracies:
        """``top1`` and ``mean_per_class`` of the head on labelled images, or tables of features.

        Raises
        ------
        DataError
            If there are none, or a class that was not learned.
        """
        head = self.durable.learner.head
        if is_table_folder(data):
            return scored_on_tables(data, head, self._identity)
        samples = load_labelled(data, head.classes, suffixes=SUFFIXES)
        accuracy = Accuracy(len(head.classes))
        for batch in self.extractor.extract(samples):
            labels = np.array([samples[i].label for i in batch.indices.tolist()], np.int64)
            if len(labels):
                accuracy.update(labels, head.predict(batch.features))
            for index, reason in batch.failed:
                logger.warning("skipped %s: %s", samples[index].id, reason)
        return accuracy.shares


def gather(
    batches: Sequence[FeatureBatch],
) -> tuple[dict[int, Float32Array], dict[int, str]]:
    """The views of the same images, put together by image."""
    problems = {index: reason for batch in batches for index, reason in batch.failed}
    views: dict[int, list[Float32Array]] = {}
    for batch in batches:
        # A backbone that overflows on an image would poison the head for good.
        finite = np.isfinite(batch.features).all(axis=1)
        for index in batch.indices[~finite].tolist():
            problems[index] = "its features are not finite"
        for row, index in enumerate(batch.indices.tolist()):
            views.setdefault(index, []).append(batch.features[row : row + 1])
    return {
        i: rows[0] if len(rows) == 1 else np.concatenate(rows)
        for i, rows in views.items()
        if i not in problems
    }, problems


@contextmanager
def blas_on_one_thread() -> Iterator[None]:
    """Linear algebra on one thread, so that sums don't depend on how many cores there are.

    It holds for all threads: while one limits OpenBLAS, threadpoolctl heeds no other.
    """
    import scipy.linalg  # noqa: F401  # a BLAS beside NumPy's: what is not loaded is not limited
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield


def why_unreadable(path: Path) -> str | None:
    """Why a path is not a file that may be read whole; None if it is."""
    try:
        if not path.is_file():
            return "no such file" if not path.exists() else "not a file"
        if path.stat().st_size > LARGEST_FILE:
            return f"larger than {LARGEST_FILE >> 20} MiB"
    except (OSError, ValueError) as error:
        return str(error)
    return None


def _arrival(image: str | Path | bytes, label: str | None, sample_id: str | None) -> Arrival:
    image = Path(image) if isinstance(image, str) else image
    if sample_id is None:
        content = image if isinstance(image, bytes) else image.read_bytes()
        sample_id = hashlib.sha256(content).hexdigest()
    return Arrival(id=sample_id, source=image, label=label)


def _agreed(run: RunFolder, settings: StreamSettings) -> LearningSettings:
    """Begin the configuration of a run, or hold the settings against it; returns how to learn."""
    before = begun_stream(run)
    learning = settings.learning.resolved(before)
    config = replace(settings, learning=learning).to_config()
    if before is not None:
        begun = load(LearningSettings, before, run.path).resolved(before)
        different = differs(LearningSettings, config["stream"], dump(begun))
        if different is not None:
            raise UsageError(
                f"{run.path}: cannot go on with other settings: {different}; give what it was "
                "begun with, or choose another folder"
            )
        return learning
    run.write_config(config)
    return learning
