"""What is to leave a learner on statistics, named and found, before anything is changed."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from edgetransfer.errors import UsageError
from edgetransfer.stream.keeping.kept_rows import BEYOND, gone_keys, learned_samples
from edgetransfer.stream.keeping.recovery import JOURNAL
from edgetransfer.stream.learning.choosing_learner import ChoosingLearner
from edgetransfer.stream.learning.ids import id_key
from edgetransfer.stream.learning.records import Learned
from edgetransfer.stream.learning.statistics_learner import StatisticsLearner

REMEMBERED = 1000  # forgotten classes whose names' keys are kept
NAMED = 5  # samples that a refusal names


def named_classes(
    run: Path, classes: frozenset[str], learned: Sequence[str], forgotten: Sequence[str]
) -> tuple[frozenset[str], list[str]]:
    """Classes in the form that labels are kept in, and the keys of all that were ever forgotten.

    Parameters
    ----------
    learned
        The classes that there are; of older runs they may be as they were typed.
    forgotten
        Keys of those that were forgotten before: to forget them once more changes nothing.

    Raises
    ------
    UsageError
        If one of them was never learned.
    """
    there = set(learned)
    names = frozenset(
        name if name in there else unicodedata.normalize("NFC", name) for name in classes
    )
    for name in sorted(names - there):
        if id_key(name).hex() not in forgotten:
            raise UsageError(f"{run}: no class {name!r} was learned")
    keys = [id_key(name).hex() for name in sorted(names)]
    return names, [*forgotten, *(key for key in keys if key not in forgotten)][-REMEMBERED:]


def removable(
    run: Path,
    accepted: Callable[[bytes], bool],
    learner: StatisticsLearner | ChoosingLearner,
    *,
    ids: frozenset[str],
    classes: frozenset[str],
) -> dict[bytes, Learned | None]:
    """Samples that are to be taken away by their keys, each as it was learned; None without label.

    Parameters
    ----------
    accepted
        Whether a sample of this key was ever accepted.

    Raises
    ------
    UsageError
        If the features of one are not kept any more.
    """
    keys = frozenset(map(id_key, ids))
    learned = learned_samples(run / JOURNAL, keys, classes)
    samples: dict[bytes, Learned | None] = dict(learned)
    samples |= {key: None for key in keys if learner.pool.get(key) is not None}
    gone = gone_keys(run / JOURNAL)
    lost = sorted(i for i in ids if accepted(k := id_key(i)) and k not in gone and k not in samples)
    for name in sorted(classes & set(learner.classes)):
        there = sum(sample.label == name for sample in learned.values())
        if there < learner.class_counts[name]:
            lost.append(f"{learner.class_counts[name] - there} samples of class {name!r}")
    if lost:
        named = ", ".join(lost[:NAMED]) + (", …" if len(lost) > NAMED else "")
        raise UsageError(f"{run}: cannot take {named} away again: {BEYOND}")
    return samples
