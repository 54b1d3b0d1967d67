"""Reviews against what was planted: wrong labels, strangers, uncertain photos."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgetransfer.heads import LinearHead
from edgetransfer.teach.album import Sheet
from edgetransfer.teach.familiarity import REJECTED, Familiarity
from edgetransfer.teach.review import SHOWN, newest, review

D, CLASSES, EACH = 40, 4, 30


def blobs(seed: int, each: int = EACH) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian blobs about seeded centres, positive as features of a ReLU are."""
    centres = np.abs(np.random.default_rng(7).normal(size=(CLASSES, D))) * 3
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), each)
    rows = np.abs(centres[labels] + rng.normal(size=(len(labels), D)))
    return rows.astype(np.float32), labels


def sheet(rows: np.ndarray, labels: list[str | None], prefix: str = "p") -> Sheet:
    ids = tuple(f"{prefix}{i}" for i in range(len(rows)))
    return Sheet(ids=ids, labels=tuple(labels), features=rows)


def nearest_mean(rows: np.ndarray, labels: np.ndarray) -> LinearHead:
    means = np.stack([rows[labels == k].mean(axis=0) for k in range(CLASSES)])
    return LinearHead(
        weights=(means.T).astype(np.float32),
        bias=(-0.5 * (means**2).sum(axis=1)).astype(np.float32),
        classes=tuple(f"c{k}" for k in range(CLASSES)),
    )


EMPTY = Sheet(ids=(), labels=(), features=np.empty((0, D), np.float32))


@pytest.mark.parametrize("seed", range(3))
def test_flipped_labels_are_doubted_and_others_are_not(seed: int) -> None:
    rows, labels = blobs(seed)
    rng = np.random.default_rng(seed)
    flipped = rng.choice(len(rows), 6, replace=False)
    given = labels.copy()
    given[flipped] = (given[flipped] + 1) % CLASSES
    names = [f"c{k}" for k in given]
    found = review(1, sheet(rows, names), EMPTY, nearest_mean(rows, labels), ())
    assert {d.id for d in found.doubts} == {f"p{i}" for i in flipped}
    for doubt in found.doubts:
        assert doubt.proposed == f"c{labels[int(doubt.id[1:])]}"
    assert found.honest is not None
    assert found.honest.right == len(rows) - 6
    assert found.honest.tested == len(rows)
    confirmed = {d.id for d in found.doubts[:2]}
    fewer = review(1, sheet(rows, names), EMPTY, nearest_mean(rows, labels), confirmed)
    assert {d.id for d in fewer.doubts} == {d.id for d in found.doubts} - confirmed


def test_the_same_photo_twice_is_not_on_both_sides() -> None:
    rows, labels = blobs(0, each=2)
    rows = np.random.default_rng(3).normal(size=rows.shape).astype(np.float32)  # no class at all
    names = [f"c{k}" for k in labels]
    twice = sheet(np.concatenate([rows, rows]), names * 2)
    found = review(1, twice, EMPTY, nearest_mean(rows, labels), ())
    assert found.honest is not None
    assert found.honest.tested == len(rows)
    assert found.honest.right < len(rows)


def test_one_class_and_one_photo_say_nothing() -> None:
    rows, labels = blobs(0)
    head = nearest_mean(rows, labels)
    assert review(1, sheet(rows[:1], ["a"]), EMPTY, head, ()).honest is None
    single = review(1, sheet(rows[[0, 40]], ["a", "b"]), EMPTY, head, ()).honest
    assert single is not None
    assert single.tested == 0
    assert review(1, EMPTY, EMPTY, head, ()).honest is None


def test_strangers_are_unknown_and_a_twentieth_of_the_others() -> None:
    rows, _ = blobs(0)
    others, _ = blobs(1, each=100)
    familiarity = Familiarity.of(rows)
    assert familiarity is not None
    refused = 1 - familiarity.knows(others).mean()
    assert refused < REJECTED + 0.06
    noise = np.abs(np.random.default_rng(5).normal(size=(100, D))).astype(np.float32) * 3
    assert familiarity.knows(noise).mean() < 0.05


def test_what_is_asked_next_is_uncertain_and_unlike_one_another() -> None:
    rows, labels = blobs(0)
    head = nearest_mean(rows, labels)
    head = replace(head, weights=head.weights / 50, bias=head.bias / 50)  # not sure of everything
    clear, _ = blobs(2, each=60)
    middle = (rows[labels == 0].mean(axis=0) + rows[labels == 1].mean(axis=0)) / 2
    between = np.abs(middle + np.random.default_rng(4).normal(size=(20, D)))
    copies = np.repeat(between[:1], 60, axis=0)
    unlabelled = sheet(
        np.concatenate([clear, between, copies]).astype(np.float32), [None] * (240 + 20 + 60), "u"
    )
    found = review(1, sheet(rows, [f"c{k}" for k in labels]), unlabelled, head, ())
    assert len(found.following) == SHOWN
    places = [int(guess.id[1:]) for guess in found.following]
    assert sum(p < 240 for p in places[:10]) <= 3
    # The sixty copies are one photo to a person: they do not fill the list.
    assert sum(p >= 260 or p == 240 for p in places[:12]) <= 1


def test_the_newest_of_each_class_are_gone_through() -> None:
    labels = ["a"] * 50 + ["b"] * 5
    chosen = newest(labels, 20)
    assert [labels[i] for i in chosen].count("b") == 5
    assert [i for i in chosen if labels[i] == "a"] == list(range(35, 50))
