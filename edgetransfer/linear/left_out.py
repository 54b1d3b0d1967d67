"""What heads say of training photos that they were fitted without, photo by photo."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgetransfer.data import Sample
from edgetransfer.findings import Scored
from edgetransfer.heads import ClosedFormSolver, Honest
from edgetransfer.heads.loss import FloatArray
from edgetransfer.heads.selection import first_equal
from edgetransfer.types import Float32Array, Progress, no_progress


def left_out(
    samples: Sequence[Sample],
    features: Float32Array,
    honest: Honest,
    *,
    fitted_on: Float32Array | None = None,
) -> Scored:
    """The training photos with what is known of them without a test.

    Parameters
    ----------
    features
        (N, D), of the samples.
    honest
        Of all of them, or of the first of each that are the same and labelled alike.
    fitted_on
        The features as the solver saw them, where they were scaled.
    """
    labels = np.fromiter((s.label for s in samples), np.int64, len(samples))
    first = first_equal(features if fitted_on is None else fitted_on, labels)
    distinct = np.unique(first)
    logits = honest.logits
    tested = np.zeros(len(samples), bool)
    if len(logits) == len(distinct):
        tested[distinct[honest.tested]] = True
        logits = logits[np.searchsorted(distinct, first)]
    else:
        tested[honest.tested] = True
    return Scored(
        split="train",
        samples=tuple(samples),
        features=features,
        probabilities=_softmax(logits),
        tested=tested,
        method=honest.method,
    )


def closed_form_left_out(
    samples: Sequence[Sample],
    features: Float32Array,
    classes: tuple[str, ...],
    *,
    seed: int = 0,
    threads: int = 1,
    progress: Progress = no_progress,
) -> Scored:
    """The same by heads in closed form, whatever a run's own head is."""
    labels = np.fromiter((s.label for s in samples), np.int64, len(samples))
    result = ClosedFormSolver(seed=seed).fit(
        features, labels, classes, threads=threads, progress=progress
    )
    return left_out(samples, features, result.honest)


def _softmax(logits: FloatArray) -> FloatArray:
    values = logits - logits.max(axis=1, keepdims=True)
    np.exp(values, out=values)
    values /= values.sum(axis=1, keepdims=True)
    return values
