"""The held-out part and the fingerprint."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.data import DataSplits, Sample, labels_of, load_data, split_off

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=80)


def samples_of(labels: list[int]) -> tuple[Sample, ...]:
    return tuple(Sample(id=f"{i}.png", source=b"", label=y) for i, y in enumerate(labels))


@given(labels=LABELS, fraction=st.floats(0.01, 0.99), seed=st.integers(0, 1000))
def test_a_split_is_stratified_seeded_and_loses_nothing(
    labels: list[int], fraction: float, seed: int
) -> None:
    samples = samples_of(labels)
    rest, held = split_off(samples, fraction, seed)
    assert sorted([*rest, *held], key=samples.index) == list(samples)
    for part in (rest, held):
        order = [samples.index(s) for s in part]
        assert order == sorted(order)
    count, kept, out = Counter(labels), Counter(labels_of(rest).tolist()), Counter(
        labels_of(held).tolist()
    )  # fmt: skip
    for label, n in count.items():
        assert kept[label] >= 1
        if n >= 2:
            assert out[label] >= 1
            inside = min(max(fraction * n, 1), n - 1)
            assert abs(out[label] - inside) <= 0.5 + 1e-9
        else:
            assert out[label] == 0
    assert split_off(samples, fraction, seed) == (rest, held)


def test_another_seed_holds_out_others() -> None:
    samples = samples_of([0, 1] * 50)
    held = {split_off(samples, 0.2, seed)[1] for seed in range(5)}
    assert len(held) == 5


def test_every_sample_is_held_out_equally_often() -> None:
    samples = samples_of([0] * 20)
    counts = Counter(s.id for seed in range(600) for s in split_off(samples, 0.25, seed)[1])
    # Binomial(600, 1/4): 150 with a standard deviation of 10.6.
    assert min(counts.values()) > 150 - 4.5 * 10.6
    assert max(counts.values()) < 150 + 4.5 * 10.6


def test_a_val_folder_is_not_drawn_anew(tmp_path: Path) -> None:
    for name in ("train/a/1", "train/a/2", "train/b/1", "train/b/2", "val/a/3"):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    suffixes = frozenset([".png"])
    given_val = load_data(tmp_path, suffixes=suffixes, val_fraction=0.5)
    assert [s.id for s in given_val.val] == ["val/a/3.png"]
    (tmp_path / "val/a/3.png").unlink()
    drawn = load_data(tmp_path, suffixes=suffixes, val_fraction=0.5, seed=3)
    assert (len(drawn.train), len(drawn.val)) == (2, 2)
    assert sorted(s.label for s in drawn.val) == [0, 1]


def test_the_fingerprint_is_of_classes_ids_labels_and_parts() -> None:
    base = DataSplits(classes=("a", "b"), train=samples_of([0, 1, 1]), test=samples_of([0]))
    same = DataSplits(classes=("a", "b"), train=samples_of([0, 1, 1]), test=samples_of([0]))
    assert base.fingerprint == same.fingerprint
    renamed = (replace(base.train[0], id="other.png"), *base.train[1:])
    others = [
        replace(base, classes=("a", "c")),
        replace(base, classes=("ab",)),
        replace(base, train=samples_of([0, 1, 0])),
        replace(base, train=renamed),
        replace(base, train=base.train[::-1]),
        replace(base, train=base.train[:2], val=base.train[2:]),
        replace(base, test=(), val=base.test),
    ]
    assert len({base.fingerprint, *(o.fingerprint for o in others)}) == len(others) + 1


def test_labels_are_int64() -> None:
    labels = labels_of(samples_of([3, 0, 2]))
    assert labels.dtype == np.int64
    assert labels.tolist() == [3, 0, 2]
    assert labels_of(()).shape == (0,)
