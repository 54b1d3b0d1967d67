"""What the photos so far say about one another: honest accuracy, doubtful labels, what to ask next.

Each labelled photo is classified by a head that was fitted without it, exactly (see
`edgetransfer.heads.closed_form`). From these scores come the accuracy, the confusion of classes,
and the labels that are probably wrong: those where another class is about as probable as it
usually is of photos that do show it (confident learning; Northcutt, Jiang and Chuang, JAIR 2021).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from edgetransfer.heads import LinearHead
from edgetransfer.heads.closed_form import ClosedFormSolver
from edgetransfer.metrics.intervals import wilson_interval
from edgetransfer.reprs import short_repr
from edgetransfer.teach.album import Sheet
from edgetransfer.teach.familiarity import Familiarity
from edgetransfer.types import Float32Array, IntArray

MOST = 4000  # photos with a label that are gone through, and as many without: the newest
SHOWN = 24  # photos of a kind
NEARLY = 0.8  # of what a class's photos usually have, to speak for it against a label
UNCERTAIN = 8  # times as many as are shown are looked at, whether they are alike


@dataclass(frozen=True, kw_only=True)
class Guess:
    """What a photo without a label is taken for.

    Parameters
    ----------
    probability
        Of the class, 0 to 1.
    unknown
        Whether it resembles no labelled photo; None while there are too few to tell.
    """

    id: str
    label: str
    probability: float
    unknown: bool | None

    __repr__ = short_repr


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """A label that is probably wrong.

    Parameters
    ----------
    proposed
        The class that the other photos speak for.
    probability
        Of that class, 0 to 1.
    """

    id: str
    label: str
    proposed: str
    probability: float

    __repr__ = short_repr


@dataclass(frozen=True, kw_only=True)
class Honest:
    """How photos were classified by heads that did not know them.

    Parameters
    ----------
    classes
        K names.
    confusion
        (K, K): true classes are rows.
    """

    classes: tuple[str, ...]
    confusion: IntArray

    __repr__ = short_repr

    @property
    def tested(self) -> int:
        """Photos that have another of their class."""
        return int(self.confusion.sum())

    @property
    def right(self) -> int:
        """Photos that were recognised."""
        return int(self.confusion.trace())

    @property
    def interval(self) -> tuple[float, float]:
        """Of the accuracy, 95 %."""
        return wilson_interval(self.right, self.tested)

    @property
    def per_class(self) -> dict[str, float]:
        """The share of each tested class that was recognised."""
        rows = self.confusion.sum(axis=1)
        return {
            name: float(self.confusion[i, i] / rows[i])
            for i, name in enumerate(self.classes)
            if rows[i]
        }


@dataclass(frozen=True, kw_only=True)
class Review:
    """What was found at one moment.

    Parameters
    ----------
    version
        Of the album.
    head
        Of all that was learned by then; None before the first review.
    honest
        None while there are fewer than two classes.
    following
        Photos without a label that would teach the most, in the order to ask for them.
    """

    version: int = -1
    head: LinearHead | None = None
    honest: Honest | None = None
    doubts: tuple[Doubt, ...] = ()
    guesses: tuple[Guess, ...] = ()
    following: tuple[Guess, ...] = ()
    familiarity: Familiarity | None = None

    __repr__ = short_repr


def review(
    version: int,
    labelled: Sheet,
    unlabelled: Sheet,
    head: LinearHead,
    confirmed: Collection[str],
) -> Review:
    """Go through all photos.

    Parameters
    ----------
    head
        That guesses those without a label.
    confirmed
        Ids of photos whose labels a person has said to be right.
    """
    names = tuple(dict.fromkeys(str(label) for label in labelled.labels))
    place = {name: i for i, name in enumerate(names)}
    labels = np.array([place[str(label)] for label in labelled.labels], np.int64)
    honest: Honest | None = None
    doubts: tuple[Doubt, ...] = ()
    if len(names) > 1:
        honest, doubts = _left_out(labelled, labels, names, confirmed)
    familiarity = Familiarity.of(labelled.features)
    guesses = _guesses(unlabelled, head, familiarity)
    return Review(
        version=version,
        head=head,
        honest=honest,
        doubts=doubts,
        guesses=guesses,
        following=_following(unlabelled, head, guesses),
        familiarity=familiarity,
    )


def newest(labels: Sequence[str | None], most: int = MOST) -> list[int]:
    """Places of at most so many photos, the newest of each class, as evenly as they allow."""
    ranks: dict[str | None, int] = {}
    order = []
    for i in range(len(labels) - 1, -1, -1):
        label = labels[i]
        ranks[label] = rank = ranks.get(label, 0) + 1
        order.append((rank, -i))
    return sorted(-i for _, i in sorted(order)[:most])


def _left_out(
    labelled: Sheet, labels: IntArray, names: tuple[str, ...], confirmed: Collection[str]
) -> tuple[Honest, tuple[Doubt, ...]]:
    solver = ClosedFormSolver(methods=("lda",), maps=("power-l2",))
    found = solver.fit(labelled.features, labels, names).honest
    assert found.alike is not None
    distinct = np.unique(found.alike)[found.tested]
    probabilities, true = found.probabilities(), labels[distinct]
    predicted = probabilities.argmax(axis=1)
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (true, predicted), 1)
    doubts = [
        (margin, Doubt(id=photo, label=names[a], proposed=names[b], probability=p))
        for i, b, p, margin in _improbable(probabilities, true)
        if (photo := labelled.ids[distinct[i]]) not in confirmed
        for a in [int(true[i])]
    ]
    doubts.sort(key=lambda pair: -pair[0])
    return Honest(classes=names, confusion=confusion), tuple(d for _, d in doubts[:SHOWN])


def _improbable(probabilities: Float32Array, true: IntArray) -> list[tuple[int, int, float, float]]:
    """Doubtful labels: place, likelier class, its probability, and by how much it is likelier."""
    n, k = probabilities.shape
    own = probabilities[np.arange(n), true]
    counts = np.bincount(true, minlength=k)
    usual = np.bincount(true, weights=own, minlength=k) / np.maximum(counts, 1)
    usual[counts == 0] = np.inf
    best = probabilities.argmax(axis=1)
    likelier = probabilities[np.arange(n), best]
    doubtful = np.flatnonzero((best != true) & (likelier >= NEARLY * usual[best]))
    return [
        (int(i), int(best[i]), float(likelier[i]), float(likelier[i] - own[i])) for i in doubtful
    ]


def _guesses(
    unlabelled: Sheet, head: LinearHead, familiarity: Familiarity | None
) -> tuple[Guess, ...]:
    if not head.classes or not unlabelled.ids:
        return ()
    probabilities = head.predict_proba(unlabelled.features)
    best = probabilities.argmax(axis=1)
    known = None if familiarity is None else familiarity.knows(unlabelled.features)
    return tuple(
        Guess(
            id=photo,
            label=head.classes[b],
            probability=float(probabilities[i, b]),
            unknown=None if known is None else not bool(known[i]),
        )
        for i, (photo, b) in enumerate(zip(unlabelled.ids, best.tolist(), strict=True))
    )


def _following(unlabelled: Sheet, head: LinearHead, guesses: Sequence[Guess]) -> tuple[Guess, ...]:
    """The least certain photos first, but none that is all but another one.

    Certainty is the margin between the two likeliest classes (Scheffer, Decomain and Wrobel, IDA
    2001). A photo waits until the others have had their turn if it is so near to one before it that
    it lies more than halfway from how near a photo's nearest is to being the same: copies and
    bursts teach little.
    """
    if len(head.classes) < 2 or not guesses:
        return tuple(guesses[:SHOWN])
    ordered = np.sort(head.predict_proba(unlabelled.features), axis=1)
    margin = ordered[:, -1] - ordered[:, -2]
    uncertain = np.argsort(margin, kind="stable")[: UNCERTAIN * SHOWN]
    rows = Familiarity.mapped(unlabelled.features[uncertain])
    likeness = rows @ rows.T
    nearest = (likeness - 2 * np.eye(len(rows), dtype=np.float32)).max(axis=1)
    # Of many, so that even a pool that is mostly one burst has its usual photos.
    alike = (1 + float(np.quantile(nearest, 0.25))) / 2
    chosen: list[int] = []
    alike_others: list[int] = []
    for i in range(len(rows)):
        (alike_others if (likeness[i, chosen] > alike).any() else chosen).append(i)
    return tuple(guesses[uncertain[i]] for i in [*chosen, *alike_others][:SHOWN])
