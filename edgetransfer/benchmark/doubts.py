"""What could make a row's speedup wrong: a bar for each, and what follows where it is passed.

Every bar has one of three consequences: a measurement does not count (`clean_rounds`), a row is
marked, or its speedup is withheld.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Round = tuple[int, int]
"""Seed and epoch: the turns of one round follow one another."""
Record = Mapping[str, Any]
Records = Mapping[Round, Record]

BUSY = 0.05  # share of the cores that others may take, and of the time that a quota may
UNTELLABLE = 0.25  # share of the wanted cores that others took: no ratio is told any more
DRIFT = 0.10  # by how much the clock may differ between the turns that are compared
ORDER = 0.05  # by how much a ratio may differ with who came first
DECODING = 0.5  # share of an epoch that decoding may be
LESS_ACCURATE, CHANCE = 0.01, 0.05  # points of one, and the p below which it is none
FEWEST = 3  # rounds


def disturbance(record: Mapping[str, Any]) -> float:
    """The share of the processor that a timed epoch lacked, 0 to 1."""
    return float(max(record["other_load"], record.get("throttled", 0.0)))


def is_disturbed(record: Record) -> bool:
    """Whether a timed epoch must not count where others do."""
    return disturbance(record) > BUSY


def clean_rounds(own: Records, dense: Records) -> list[Round]:
    """The rounds that count: those in which nothing disturbed either, if they are half or more.

    Else all, and the row is marked or its ratio withheld (`doubts_of`).
    """
    both = [at for at in own if at in dense]
    clean = [at for at in both if not is_disturbed(own[at]) and not is_disturbed(dense[at])]
    return clean if clean and 2 * len(clean) >= len(both) else both


def doubts_of(
    own: Records, dense: Records, row: Mapping[str, Any], *, is_baseline: bool
) -> list[dict[str, Any]]:
    """What is to be known before a row's speedup is believed: ``kind``, ``says``, ``withholds``.

    Parameters
    ----------
    own, dense
        The records of the row, and of what it is compared with.
    row
        The row as far as it is known.
    """
    counted = clean_rounds(own, dense)
    pairs = [(own[at], dense[at]) for at in counted]
    found = [
        *_disturbed(own, dense, counted),
        *_few(counted),
        *_drift([record for pair in pairs for record in pair]),
    ]
    if is_baseline:
        return found
    return [
        *found,
        *_ordered(own, dense, counted),
        *_engines(own, dense),
        *_decoding(row),
        *_accuracy(row),
    ]


def _doubt(kind: str, says: str, *, withholds: bool = False) -> dict[str, Any]:
    return {"kind": kind, "says": says, "withholds": withholds}


def _disturbed(own: Records, dense: Records, counted: Sequence[Round]) -> list[dict[str, Any]]:
    both = [at for at in own if at in dense]
    left_out = len(both) - len(counted)
    if left_out:
        says = f"{left_out} of {len(both)} rounds were disturbed and do not count"
        return [_doubt("left out", says)]
    worst = [max(disturbance(own[at]), disturbance(dense[at])) for at in counted]
    lacked = [
        max(
            record.get(name, 0.0)
            for record in (own[at], dense[at])
            for name in ("contention", "throttled")
        )
        for at in counted
    ]
    if not counted or statistics.median(worst) <= BUSY:
        return []
    share = statistics.median(worst)
    if statistics.median(lacked) > UNTELLABLE:
        says = (
            f"other processes took {share:.0%} of the processor: no speedup can be told; measure "
            "on a quiet machine"
        )
        return [_doubt("disturbed", says, withholds=True)]
    return [_doubt("disturbed", f"other processes took {share:.0%} of the processor")]


def _few(counted: Sequence[Round]) -> list[dict[str, Any]]:
    if len(counted) >= FEWEST:
        return []
    number = {0: "no round", 1: "one round", 2: "two rounds"}[len(counted)]
    return [_doubt("few rounds", f"{number}: the interval says nothing of chance")]


def _drift(records: Sequence[Record]) -> list[dict[str, Any]]:
    clocks = [record["clock"] for record in records if record.get("clock")]
    if not clocks or max(clocks) <= (1 + DRIFT) * min(clocks):
        return []
    share = max(clocks) / min(clocks) - 1
    says = f"the processor's clock differed by {share:.0%} between the turns (heat, power limit)"
    return [_doubt("clock", says)]


def _ordered(own: Records, dense: Records, counted: Sequence[Round]) -> list[dict[str, Any]]:
    """Rounds go forwards and backwards in turn: whoever comes first must not gain by it."""
    ways: dict[bool, list[float]] = {True: [], False: []}
    for at in counted:
        first = own[at].get("place", 0) < dense[at].get("place", 0)
        ways[first].append(own[at]["seconds"] / dense[at]["seconds"])
    if min(map(len, ways.values())) < 2:
        return []
    one, other = (statistics.median(ways[first]) for first in (True, False))
    apart = min(ways[True]) > max(ways[False]) or min(ways[False]) > max(ways[True])
    difference = abs(one - other) / min(one, other)
    if not apart or difference <= ORDER:
        return []
    says = f"the ratio differs by {difference:.0%} with which of the two came first"
    return [_doubt("order", says)]


def _engines(own: Records, dense: Records) -> list[dict[str, Any]]:
    found = []
    names = sorted({record["engine"]["name"] for record in own.values()})
    if len(names) > 1:
        found.append(_doubt("engine", f"its turns ran in several engines: {', '.join(names)}"))
    plans = [
        {record["plan"]["cores"] for record in records.values() if "plan" in record}
        for records in (own, dense)
    ]
    if plans[0] != plans[1]:
        found.append(_doubt("threads", "it and dense had different numbers of cores"))
    return found


def _decoding(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    alone = row["images"] / row["images_per_second"]["decoding_alone"]
    share = alone / row["seconds_per_epoch"]["median"]
    if share < DECODING:
        return []
    says = (
        f"decoding is {min(share, 1.0):.0%} of its epoch, which more zeros cannot shorten: the "
        "backbone alone gained more"
    )
    return [_doubt("decoding", says)]


def _accuracy(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    test = row.get("accuracy_test")
    if test is None or test["gap"] <= LESS_ACCURATE or test["p"] >= CHANCE:
        return []
    says = (
        f"{100 * test['gap']:.1f} points less accurate than dense (p {test['p']:.2g}): a speedup "
        "at another accuracy"
    )
    return [_doubt("accuracy", says)]
