"""The same photo under several names."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.data import Sample, copies_of, load_data, split_off
from edgetransfer.data.copies import groups_of_copies
from edgetransfer.sampling import equal_rows, stratified_holdout
from tests.data.test_layouts import make

SUFFIXES = frozenset([".png"])
# Contents of few sizes, so that equal sizes do not mean equal content.
CONTENTS = st.lists(st.sampled_from([b"", b"a", b"b", b"aa", b"ab", b"abc"]), max_size=12)


def samples_of(contents: list[bytes]) -> list[Sample]:
    return [Sample(id=str(i), source=content) for i, content in enumerate(contents)]


@given(CONTENTS)
def test_groups_are_those_of_equal_content(contents: list[bytes]) -> None:
    expected: dict[bytes, list[int]] = {}
    for place, content in enumerate(contents):
        expected.setdefault(content, []).append(place)
    groups = groups_of_copies(samples_of(contents))
    assert groups == sorted(group for group in expected.values() if len(group) > 1)


@given(CONTENTS, CONTENTS)
def test_a_copy_is_found_with_its_first_original(a: list[bytes], b: list[bytes]) -> None:
    found = copies_of(samples_of(a), samples_of(b))
    assert {i: original.id for i, original in found.items()} == {
        i: str(b.index(content)) for i, content in enumerate(a) if content in b
    }


def test_only_files_of_equal_size_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(20):
        (tmp_path / f"{i}.png").write_bytes(b"x" * (i + 1))
    (tmp_path / "copy.png").write_bytes(b"x" * 7)
    read: list[str] = []
    monkeypatch.setattr(Sample, "read", lambda self: read.append(self.id) or b"")
    samples = [Sample(id=p.name, source=p) for p in sorted(tmp_path.iterdir())]
    groups_of_copies(samples)
    assert sorted(read) == ["6.png", "copy.png"]


def test_a_file_that_is_the_same_one_is_not_read(tmp_path: Path) -> None:
    make(tmp_path, "1.png", "2.png")
    os.link(tmp_path / "1.png", tmp_path / "hard.png")
    (tmp_path / "soft.png").symlink_to("2.png")
    train = [Sample(id=n, source=tmp_path / n) for n in ("1.png", "2.png")]
    test = [Sample(id=n, source=tmp_path / n) for n in ("hard.png", "soft.png", "1.png")]
    assert {i: s.id for i, s in copies_of(test, train).items()} == {
        0: "1.png",
        1: "2.png",
        2: "1.png",
    }


def test_pipes_and_what_is_gone_are_nobodys_copies(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    samples = [Sample(id="p", source=tmp_path / "pipe"), Sample(id="n", source=tmp_path / "none")]
    assert copies_of(samples, samples) == {}
    assert groups_of_copies(samples * 2) == []


@given(
    photos=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=60
    ),  # class and content
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 1000),
)
def test_copies_stay_on_one_side(photos: list[tuple[int, int]], fraction: float, seed: int) -> None:
    samples = [
        Sample(id=str(i), source=b"%d" % content, label=label)
        for i, (label, content) in enumerate(photos)
    ]
    copies = groups_of_copies(samples)
    rest, held = split_off(samples, fraction, seed, copies)
    assert {s.id for s in rest} | {s.id for s in held} == {s.id for s in samples}
    assert not {s.source for s in rest} & {s.source for s in held}
    classes: dict[object, set[int]] = {}
    for sample in samples:
        classes.setdefault(sample.source, set()).add(sample.label)
    assert all(len(classes[sample.source]) == 1 for sample in held)
    kept, out = (Counter(s.label for s in part) for part in (rest, held))
    for label in {label for label, _ in photos}:
        assert kept[label] >= 1
        own = {s.source for s in samples if s.label == label}
        clean = [source for source in own if len(classes[source]) == 1]
        if clean and len(own) > 1:
            assert out[label] >= 1
    assert split_off(samples, fraction, seed, copies) == (rest, held)


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=60), st.floats(0.01, 0.99), st.integers(0, 9)
)
def test_without_copies_nothing_changes(labels: list[int], fraction: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    array = np.array(labels, np.int64)
    held = np.zeros(len(labels), bool)
    for label in np.unique(array):  # as it was drawn before copies were looked at
        members = np.flatnonzero(array == label)
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        held[rng.permutation(members)[:count]] = True
    assert (stratified_holdout(array, fraction, seed) == held).all()


def test_rows_of_copies_are_equal() -> None:
    rows = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    rows[4] = rows[1]
    rows[5] = rows[0]
    assert equal_rows(rows) == [[0, 5], [1, 4]]
    assert equal_rows(rows[:4]) == []


def test_copies_across_the_held_out_part_are_grouped_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for label in "ab":
        make(tmp_path, *(f"{label}/{i}.png" for i in range(10)))
        for i in range(10):
            (tmp_path / f"{label}/{i}.png").write_text(f"{label}{i // 2}")
    (tmp_path / "b/odd.png").write_text("a0")
    for seed in range(5):
        splits = load_data(tmp_path, suffixes=SUFFIXES, val_fraction=0.3, seed=seed)
        assert len(splits.val) == 8
        assert not {s.read() for s in splits.train} & {s.read() for s in splits.val}
        assert splits.learned_too == ()
    assert "11 training photos are copies of others" in caplog.text
    assert "1 photos stand in several classes: a/0.png and a/1.png and b/odd.png" in caplog.text


@pytest.mark.parametrize("split", ["val", "test"])
def test_photos_that_are_trained_on_too_are_named(
    split: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path, "train/a/1.png", "train/b/2.png", f"{split}/a/3.png", f"{split}/b/4.png")
    (tmp_path / f"{split}/a/3.png").write_bytes((tmp_path / "train/a/1.png").read_bytes())
    splits = load_data(tmp_path, suffixes=SUFFIXES)
    assert splits.learned_too == ((split, (f"{split}/a/3.png",)),)
    assert f"1 of 2 {split} photos stand in the training set too" in caplog.text
    assert f"{split}/a/3.png is train/a/1.png" in caplog.text


def test_so_are_those_of_test_data_of_their_own(tmp_path: Path) -> None:
    make(tmp_path, "a/1.png", "b/2.png")
    splits = load_data(tmp_path, suffixes=SUFFIXES, test_data=tmp_path)
    ids = (str(tmp_path / "a/1.png"), str(tmp_path / "b/2.png"))
    assert splits.learned_too == (("test", ids),)


def test_photos_of_one_name_in_two_data_sets_are_two(tmp_path: Path) -> None:
    make(tmp_path, "one/a/1.png", "one/b/2.png", "two/a/1.png", "two/b/3.png")
    splits = load_data(tmp_path / "one", suffixes=SUFFIXES, test_data=tmp_path / "two")
    assert [s.id for s in splits.test] == [str(tmp_path / "two/a/1.png"), "b/3.png"]
    assert len({s.id for s in (*splits.train, *splits.test)}) == 4
