"""Everything that is doubtful about a data set, found at once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.data import Sample
from edgetransfer.errors import ImageError
from edgetransfer.findings.duplicates import (
    MOST_FITTED,
    Duplicates,
    candidates,
    copies_among,
    part_candidates,
    pixel_candidates,
    with_parts,
)
from edgetransfer.findings.label_errors import label_doubts
from edgetransfer.findings.neighbours import nearest
from edgetransfer.findings.outliers import FAR, outlier_scores
from edgetransfer.findings.scored import Scored
from edgetransfer.images import Look, look_at
from edgetransfer.metrics import Accuracy, accuracy_of
from edgetransfer.reprs import short_repr
from edgetransfer.types import Float32Array, IntArray, Progress, no_progress

NEIGHBOURS = 6  # of each photo that are looked at as possible copies
MOST_DECODED = 3000  # photos, of the likest pairs: more are not looked at
MOST_THOROUGHLY = 20_000  # photos, up to which a thorough look decodes all: time grows with N²


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What was found; photos are named by their place in all splits together.

    Parameters
    ----------
    classes
        Their names; labels are places in them.
    parts
        The splits, in the order of the photos.
    samples, labels, predicted, splits
        Of all photos: the sample, its label, the class that heads take it for which have not
        seen it, and its split's place in ``parts``.
    tested
        Which predictions count.
    confidence
        The probability of the label, 0 to 1.
    suggested
        The best other class.
    wrong
        The photos whose labels are probably wrong, the most doubtful first.
    duplicates
        Pairs of photos that show the same picture.
    outliers
        Photos that are like no other of their class, the farthest first.
    outlier_scores
        Of all photos; see `edgetransfer.findings.outlier_scores`.
    compared_all
        Whether every pair that might show the same picture was looked at.
    """

    classes: tuple[str, ...]
    parts: tuple[Scored, ...]
    samples: tuple[Sample, ...]
    labels: IntArray
    predicted: IntArray
    splits: IntArray
    tested: NDArray[np.bool_]
    confidence: NDArray[np.floating[Any]]
    suggested: IntArray
    wrong: IntArray
    duplicates: Duplicates
    outliers: IntArray
    outlier_scores: NDArray[np.floating[Any]]
    compared_all: bool

    __repr__ = short_repr

    @property
    def features(self) -> Float32Array:
        """(N, D) of all photos."""
        return np.concatenate([part.features for part in self.parts])

    def accuracy_without_copies(self, part: int) -> Accuracy:
        """Over the photos of a split whose picture is nowhere else, in no split.

        A copy that heads have learned vouches for its original; only those that are the same to
        the byte are known before.
        """
        counted = (self.splits == part) & self.tested
        counted[self.duplicates.pairs.ravel()] = False
        return accuracy_of(self.labels[counted], self.predicted[counted], len(self.classes))

    def split_of(self, place: int) -> str:
        """The name of a photo's split."""
        return self.parts[int(self.splits[place])].split


def examined(
    parts: Sequence[Scored],
    classes: tuple[str, ...],
    *,
    threads: int = 1,
    thorough: bool = False,
    progress: Progress = no_progress,
) -> Examination:
    """Look for wrong labels, copies and outliers in all splits.

    ``threads`` decode the photos that might be copies; they change no result. A ``thorough`` look
    decodes every photo, so that copies are found that a backbone does not take for alike (turned,
    upside down, in other colours), and photos that show a part of another one.
    """
    samples = tuple(sample for part in parts for sample in part.samples)
    labels = np.fromiter((s.label for s in samples), np.int64, len(samples))
    features = np.concatenate([part.features for part in parts])
    probabilities = np.concatenate([part.probabilities for part in parts])
    # Each split by itself: other heads speak of each, and how many are wrong is its own affair.
    doubts = [label_doubts(part.probabilities, part.labels, part.known) for part in parts]
    confidence = np.concatenate([found.confidence for found in doubts])
    starts = np.cumsum([0, *(len(part.samples) for part in parts)])
    wrong = np.concatenate(
        [start + found.wrong for start, found in zip(starts, doubts, strict=False)]
    )
    duplicates, compared_all = _duplicates(
        samples, features, threads, progress, thorough=thorough and len(samples) <= MOST_THOROUGHLY
    )
    # A photo of another split is no company: what stands out must do so where it was learned.
    scores = np.concatenate([outlier_scores(part.features, part.labels) for part in parts])
    far = np.flatnonzero(scores > FAR)
    return Examination(
        classes=classes,
        parts=tuple(parts),
        samples=samples,
        labels=labels,
        predicted=probabilities.argmax(axis=1),
        splits=np.repeat(np.arange(len(parts)), [len(part.samples) for part in parts]),
        tested=np.concatenate([part.tested for part in parts]),
        confidence=confidence,
        suggested=np.concatenate([found.suggested for found in doubts]),
        wrong=wrong[np.lexsort((wrong, confidence[wrong]))],
        duplicates=duplicates,
        outliers=far[np.lexsort((far, -scores[far]))],
        outlier_scores=scores,
        compared_all=compared_all,
    )


def _duplicates(
    samples: Sequence[Sample],
    features: Float32Array,
    threads: int,
    progress: Progress,
    *,
    thorough: bool,
) -> tuple[Duplicates, bool]:
    found = nearest(features, NEIGHBOURS)
    pairs, likest = candidates(found)
    wanted: dict[int, None] = dict.fromkeys(range(len(samples)) if thorough else ())
    for first, second in pairs[likest].tolist():
        if thorough or len(wanted) >= MOST_DECODED:
            break
        wanted.update({first: None, second: None})
    places = sorted(wanted)
    looks: dict[int, Look] = {}
    with ThreadPoolExecutor(threads) as pool:
        looked = pool.map(lambda place: _look(samples[place]), places)
        for done, (place, look) in enumerate(zip(places, looked, strict=True)):
            progress("comparing photos", done + 1, len(places))
            if look is not None:
                looks[place] = look
    likenesses = {place: look.likeness for place, look in looks.items()}
    complete = len(np.setdiff1d(pairs, places)) == 0
    if not thorough:
        return copies_among(pairs, likenesses), complete
    pairs = np.unique(np.concatenate([pairs, pixel_candidates(likenesses, NEIGHBOURS)]), axis=0)
    pictures = {place: look.small for place, look in looks.items()}
    parts = part_candidates(found)
    copies = with_parts(
        copies_among(pairs, likenesses), np.unique(parts[:MOST_FITTED], axis=0), pictures, progress
    )
    return copies, complete and len(parts) <= MOST_FITTED


def _look(sample: Sample) -> Look | None:
    try:
        return look_at(sample.content)
    except (ImageError, OSError):  # it was there when its features were made
        return None
