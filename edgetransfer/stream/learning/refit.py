"""L-BFGS on the reservoir, beside the stream, and whether its result is adopted.

Both ends of a refit lie at fixed sample counts: it starts from what the reservoir holds then,
and later its head is compared with the stream's own on the last samples before that point, which
neither had learned when it was scored on them. How long the fit takes has no influence, so a run
that is killed and replayed decides alike.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.heads import LBFGSSolver, LinearHead
from edgetransfer.types import Float32Array, IntArray

TRIAL_ROWS = 1024
ITERATIONS = 50  # the stream's own steps go on from there, so it need not be exact
SAFE_L2 = 1e-2  # where there are too few rows to hold any out


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What a refit found.

    Parameters
    ----------
    labels
        (k,) int64, which classes it knows.
    weights, bias
        (D, k) and (k,) float32, in the order of ``labels``.
    l2
        The penalty that was used.
    """

    labels: IntArray
    weights: Float32Array
    bias: Float32Array
    l2: float

    def merged(self, head: LinearHead) -> tuple[Float32Array, Float32Array]:
        """The head found, with the columns of ``head`` for classes that were born since."""
        weights, bias = head.weights.copy(), head.bias.copy()
        weights[:, self.labels] = self.weights
        bias[self.labels] = self.bias
        return weights, bias


def fit(features: Float32Array, labels: IntArray, l2: float | None, seed: int) -> Candidate | None:
    """Fit the classes that have rows; None if there are fewer than two."""
    present, compact = np.unique(labels, return_inverse=True)
    if len(present) < 2:
        return None
    if l2 is None and np.bincount(compact).max() < 2:
        l2 = SAFE_L2
    names = tuple(map(str, present.tolist()))
    solver = LBFGSSolver(l2=l2, tolerance=1e-3, max_iterations=ITERATIONS, precise=False)
    result = solver.fit(features, compact.astype(np.int64), names, seed=seed)
    return Candidate(
        labels=present, weights=result.head.weights, bias=result.head.bias, l2=result.l2
    )


class BackgroundRefit:
    """One refit from its start to its decision.

    Parameters
    ----------
    started, due
        Learned batches at its start, and at its decision.
    """

    def __init__(self, started: int, due: int) -> None:
        self.started = started
        self.due = due
        self._trial: deque[tuple[Float32Array, int, bool]] = deque(maxlen=TRIAL_ROWS)
        self._future: Future[Candidate | None] = Future()

    def start(
        self,
        pool: ThreadPoolExecutor,
        features: Float32Array,
        labels: IntArray,
        l2: float | None,
        seed: int,
    ) -> None:
        """Begin to fit, in another thread."""
        self._future = pool.submit(fit, features, labels, l2, seed)

    @property
    def through(self) -> bool:
        """Whether the fit is."""
        return self._future.done()

    def observe(self, rows: Float32Array, labels: Sequence[int], right: Sequence[bool]) -> None:
        """Remember (n, D) rows that came since, and where the stream's own head was right."""
        self._trial.extend(zip(rows, labels, right, strict=True))

    def decide(self, head: LinearHead) -> tuple[Candidate | None, bool]:
        """The candidate, waited for, and whether it beats what the stream's own head did."""
        candidate = self._future.result()
        if candidate is None or not self._trial:
            return candidate, False
        weights, bias = candidate.merged(head)
        rows = np.stack([row for row, _, _ in self._trial])
        labels = np.array([label for _, label, _ in self._trial])
        right = int((np.argmax(rows @ weights + bias, axis=1) == labels).sum())
        return candidate, right > sum(own for _, _, own in self._trial)

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that a checkpoint needs; waits for the fit."""
        candidate = self._future.result()
        arrays: dict[str, NDArray[Any]] = {
            "span": np.array([self.started, self.due], np.int64),
            "trial_labels": np.array([label for _, label, _ in self._trial], np.int64),
            "trial_right": np.array([right for _, _, right in self._trial], np.uint8),
        }
        if self._trial:
            arrays["trial_rows"] = np.stack([row for row, _, _ in self._trial])
        if candidate is not None:
            arrays |= {
                "labels": candidate.labels,
                "weights": candidate.weights,
                "bias": candidate.bias,
                "l2": np.array([candidate.l2]),
            }
        return arrays

    @classmethod
    def restored(cls, state: dict[str, NDArray[Any]]) -> BackgroundRefit:
        """Go on from what `state` returned."""
        started, due = state["span"].tolist()
        refit = cls(started, due)
        if "trial_rows" in state:
            labels, right = state["trial_labels"].tolist(), state["trial_right"].astype(bool)
            refit.observe(state["trial_rows"], labels, right.tolist())
        candidate = None
        if "weights" in state:
            candidate = Candidate(
                labels=state["labels"],
                weights=state["weights"],
                bias=state["bias"],
                l2=float(state["l2"][0]),
            )
        refit._future.set_result(candidate)
        return refit
