"""The journal: what is torn is dropped, what was acknowledged is never lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.errors import DataError
from edgetransfer.stream.keeping.journal import Journal, segments
from edgetransfer.stream.learning.records import Record, decode


def record(n: int, group: int, left: int = 0) -> Record:
    rows = np.full((1, 3), n, np.float32)
    return Record(
        n=n, group=group, left=left, kind="sample", id=f"é{n}", label="a", time=1.5, rows=rows
    )


def written(folder: Path, groups: int = 3, size: int = 2) -> tuple[Path, list[int]]:
    """A journal of some groups; returns its segment and the size after each group."""
    journal, records = Journal.open(folder, 0, 0)
    assert records == []
    sizes = []
    for group in range(groups):
        first = journal.position
        journal.append([record(first + i, journal.group, size - 1 - i) for i in range(size)])
        sizes.append(journal.size)
        assert journal.group == group + 1
    journal.close()
    return segments(folder)[0], sizes


def same(a: Record, b: Record) -> bool:
    return (
        (a.n, a.group, a.left, a.kind, a.id, a.label, a.time)
        == (b.n, b.group, b.left, b.kind, b.id, b.label, b.time)
    ) and np.array_equal(a.rows, b.rows)


def test_a_record_comes_back() -> None:
    data = record(7, 2).encoded()
    found = decode(b"xx" + data, 2)
    assert found is not None
    assert same(found[0], record(7, 2))
    assert found[1] == len(data) + 2


def test_every_cut_of_the_last_group_drops_to_whole_records(tmp_path: Path) -> None:
    segment, sizes = written(tmp_path / "whole")
    data = segment.read_bytes()
    ends = [0]
    while ends[-1] < len(data):
        found = decode(data, ends[-1])
        assert found is not None
        ends.append(found[1])
    for cut in range(sizes[1], sizes[2] + 1):
        folder = tmp_path / "cut"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / segment.name).write_bytes(data[:cut])
        journal, records = Journal.open(folder, 0, 0)
        whole = sum(end <= cut for end in ends[1:])
        assert [r.n for r in records] == list(range(whole))
        assert (folder / segment.name).stat().st_size == ends[whole]
        journal.append([record(whole, journal.group)])  # and it goes on from there
        journal.close()
        again, records = Journal.open(folder, 0, 0)
        assert [r.n for r in records] == list(range(whole + 1))
        again.close()


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    segment, sizes = written(tmp_path / "whole")
    data = segment.read_bytes()
    for place in range(len(data)):
        folder = tmp_path / "flipped"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        damaged = bytearray(data)
        damaged[place] ^= 0x10
        (folder / segment.name).write_bytes(damaged)
        if place < sizes[1]:  # a later group shows that this one was acknowledged
            with pytest.raises(DataError, match="damaged"):
                Journal.open(folder, 0, 0)
        else:
            journal, records = Journal.open(folder, 0, 0)
            assert 4 <= len(records) < 6
            journal.close()


def test_damage_before_the_last_segment_is_an_error(tmp_path: Path) -> None:
    segment, _ = written(tmp_path)
    journal, _ = Journal.open(tmp_path, 0, 0)
    journal.rotate(0, 10**9)
    journal.append([record(6, journal.group)])
    journal.close()
    segment.write_bytes(segment.read_bytes()[:-1])
    with pytest.raises(DataError, match="damaged"):
        Journal.open(tmp_path, 0, 0)


def test_a_missing_segment_is_an_error(tmp_path: Path) -> None:
    segment, _ = written(tmp_path)
    journal, _ = Journal.open(tmp_path, 0, 0)
    journal.rotate(0, 10**9)
    journal.append([record(6, journal.group)])
    journal.close()
    segment.unlink()
    with pytest.raises(DataError, match="record 3 is missing"):
        Journal.open(tmp_path, 3, 2)


def test_rotation_keeps_what_no_checkpoint_covers(tmp_path: Path) -> None:
    journal, _ = Journal.open(tmp_path, 0, 0)
    for n in range(6):
        journal.append([record(n, n)])
        journal.rotate(0, 0)
    assert len(segments(tmp_path)) == 6
    journal.rotate(4, 0)
    assert [int(p.stem) for p in segments(tmp_path)] == [4, 5]
    journal.close()
    again, records = Journal.open(tmp_path, 5, 5)
    assert [r.n for r in records] == [5]
    again.close()


def test_rotation_keeps_as_much_as_the_budget_allows(tmp_path: Path) -> None:
    journal, _ = Journal.open(tmp_path, 0, 0)
    for n in range(6):
        journal.append([record(n, n)])
        journal.rotate(n + 1, 10**9)
    one = segments(tmp_path)[0].stat().st_size
    journal.rotate(6, 3 * one)
    assert len(segments(tmp_path)) == 3
    journal.close()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["append", "rotate", "drop", "reopen", "torn"]), max_size=12))
def test_the_size_that_is_counted_along_is_that_of_the_files(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal, _ = Journal.open(folder, 0, 0)
    covered = 0
    for step in steps:
        if step == "append":
            journal.append([record(journal.position, journal.group)])
        elif step in ("rotate", "drop"):
            covered = journal.position
            journal.rotate(covered, 10**9 if step == "rotate" else 0)
        else:
            journal.close()
            if step == "torn" and (found := segments(folder)):
                with found[-1].open("ab") as file:
                    file.write(b"half")
            journal, _ = Journal.open(folder, covered, journal.group)
        assert journal.size == sum(path.stat().st_size for path in segments(folder))
    journal.close()
