"""A classifier that other threads ask, and that may be exchanged while they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from edgetransfer.data import Sample
from edgetransfer.errors import ImageError
from edgetransfer.features.gathering import Gatherer
from edgetransfer.heads import LinearHead
from edgetransfer.reprs import short_repr
from edgetransfer.train import Classifier, Prediction
from edgetransfer.types import Float32Array


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """How many classes are to be named, and where the prediction is waited for."""

    top: int
    prediction: Future[Prediction]

    __repr__ = short_repr


class Predictor:
    """Predicts photos from any thread.

    Parameters
    ----------
    classifier
        Which it closes in the end.
    gather_seconds, capacity
        As of `Gatherer`.
    """

    def __init__(self, classifier: Classifier, *, gather_seconds: float, capacity: int) -> None:
        self.classifier = classifier
        self._next_head: LinearHead | None = None
        self.gatherer: Gatherer[_Asked] = Gatherer(
            classifier.extractor,
            answer=self._answer,
            fail=_fail,
            gather_seconds=gather_seconds,
            capacity=capacity,
        )

    def submit(self, photos: Sequence[bytes], *, top: int) -> list[Future[Prediction]]:
        """Predictions to come, each of ``top`` classes; of what is no photo, an `ImageError`.

        Raises
        ------
        BusyError
            If there is no room for as many; none was taken.
        """
        asked = [_Asked(top=top, prediction=Future()) for _ in photos]
        self.gatherer.submit([Sample(id="", source=data) for data in photos], asked)
        return [each.prediction for each in asked]

    def take_up_head(self, head: LinearHead) -> None:
        """Let another head on the same features predict from the next batch on."""
        self._next_head = head

    def take_up(self, classifier: Classifier) -> None:
        """Let another classifier predict what is not on its way yet; the one before is closed."""

        def exchange() -> None:
            before, self.classifier, self._next_head = self.classifier, classifier, None
            before.close()

        self.gatherer.replace(classifier.extractor, exchange)

    def close(self) -> None:
        """Predict what waits, then let go of the classifier."""
        self.gatherer.close()
        self.classifier.close()

    def _answer(self, asked: list[_Asked], found: Mapping[int, Float32Array | str]) -> None:
        head, self._next_head = self._next_head, None
        if head is not None:
            self.classifier.head = head
        places = [place for place, row in found.items() if not isinstance(row, str)]
        probabilities = {}
        if places:
            rows = np.stack([found[place] for place in places])
            probabilities = dict(zip(places, self.classifier.head.predict_proba(rows), strict=True))
        for place, each in enumerate(asked):
            problem = found[place]
            if isinstance(problem, str):
                each.prediction.set_exception(ImageError(problem))
            else:
                row = probabilities[place]
                each.prediction.set_result(self.classifier.prediction("", row, top=each.top))


def _fail(asked: list[_Asked], error: Exception) -> None:
    for each in asked:
        if not each.prediction.done():
            each.prediction.set_exception(error)
