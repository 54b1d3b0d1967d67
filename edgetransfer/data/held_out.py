"""What a data set is tested on, held against what it is trained on."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace

from edgetransfer.data.copies import copies_of, groups_of_copies
from edgetransfer.data.samples import DataSplits, split_off
from edgetransfer.names import readable

logger = logging.getLogger(__name__)

NAMED = 3  # of many, how many are named in a line


def hold_out(splits: DataSplits, fraction: float, seed: int) -> DataSplits:
    """Hold out a share of the training photos for validation.

    Copies of a photo, byte for byte, stay on one side; that there are any is logged.
    """
    train = splits.train
    copies = groups_of_copies(train)
    if copies:
        logger.warning(
            "%d training photos are copies of others, and stay on one side of what is held out: %s",
            sum(len(group) - 1 for group in copies),
            some_of(f"{train[group[1]].id} of {train[group[0]].id}" for group in copies),
        )
    _say_torn(splits, copies)
    rest, held = split_off(train, fraction, seed, copies)
    return replace(splits, train=rest, val=held)


def with_learned_too(splits: DataSplits, parts: Sequence[str]) -> DataSplits:
    """Note, and log, which photos of the named parts are copies of training photos."""
    found = []
    for name in parts:
        samples = splits.val if name == "val" else splits.test
        copies = copies_of(samples, splits.train)
        if not copies:
            continue
        logger.warning(
            "%d of %d %s photos stand in the training set too, so what they say of new photos is "
            "too good: %s",
            len(copies),
            len(samples),
            name,
            some_of(f"{samples[i].id} is {original.id}" for i, original in copies.items()),
        )
        found.append((name, tuple(samples[i].id for i in copies)))
    return replace(splits, learned_too=tuple(found))


def some_of(names: Iterable[str]) -> str:
    """A few names and how many more there are, for one line."""
    listed = [readable(name) for name in names]
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + more


def _say_torn(splits: DataSplits, copies: Sequence[Sequence[int]]) -> None:
    train = splits.train
    torn = [group for group in copies if len({train[i].label for i in group}) > 1]
    if torn:
        logger.warning(
            "%d photos stand in several classes: %s",
            len(torn),
            some_of(" and ".join(train[i].id for i in group[:3]) for group in torn),
        )
