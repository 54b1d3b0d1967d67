"""Training photos under random labels, to see which phases memorise them (thesis 3.6.2, A.2.2)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgetransfer.data import DataSplits, Sample
from edgetransfer.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Mislabelled:
    """A photo that is learned under a wrong label.

    Parameters
    ----------
    sample
        With the label that it is learned under.
    truth
        What it shows.
    """

    sample: Sample
    truth: int


def mislabelled(
    splits: DataSplits, share: float, seed: int
) -> tuple[DataSplits, tuple[Mislabelled, ...]]:
    """Give a share of the training photos, drawn by the seed, a label that is not theirs.

    Each of the other classes is as likely. The rest of the data set stays as it is.

    Parameters
    ----------
    share
        0 to below 1; of any above 0 one photo at least.

    Raises
    ------
    DataError
        If there is no other class.
    """
    if not share:
        return splits, ()
    classes = len(splits.classes)
    if classes < 2:
        raise DataError("--random-labels: there is one class, so that no label would be wrong")
    rng = np.random.default_rng((seed, len(splits.train), classes))
    count = max(1, round(share * len(splits.train)))
    chosen = np.sort(rng.permutation(len(splits.train))[:count])
    steps = rng.integers(1, classes, count)
    train = list(splits.train)
    wrong = []
    for at, step in zip(chosen.tolist(), steps.tolist(), strict=True):
        truth = train[at].label
        train[at] = replace(train[at], label=(truth + step) % classes)
        wrong.append(Mislabelled(sample=train[at], truth=truth))
    return replace(splits, train=tuple(train)), tuple(wrong)
