"""Several sources as one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.data.streams import Arrival, Ledger, MergedSource, PrefixedSource
from edgetransfer.errors import DataError, UsageError
from edgetransfer.stream import run_stream
from tests.stream.stream_pictures import fake_feature_source, label_of, picture, settings_for


class Listed:
    """Yields ids, then waits or fails."""

    def __init__(self, ids: list[str], *, error: Exception | None = None, wait: bool = False):
        self.ids, self.error, self.wait = ids, error, wait

    def arrivals(self, stop: Event, ledger: Ledger) -> Iterator[Arrival]:
        for name in self.ids:
            if not ledger.known(name):
                yield Arrival(id=name, source=b"x")
        if self.wait:
            stop.wait(60)
        if self.error is not None:
            raise self.error


class Known:
    def __init__(self, *ids: str) -> None:
        self.ids = ids

    def known(self, sample_id: str) -> bool:
        return sample_id in self.ids

    def open_for_label(self, sample_id: str) -> bool:
        return self.known(sample_id)


@given(st.lists(st.lists(st.uuids().map(str), max_size=8, unique=True), min_size=1, max_size=4))
def test_all_of_each_in_its_own_order(ids: list[list[str]]) -> None:
    merged = MergedSource([Listed(one) for one in ids])
    found = [arrival.id for arrival in merged.arrivals(Event(), Known())]
    assert sorted(found) == sorted(name for one in ids for name in one)
    for one in ids:
        places = [found.index(name) for name in one]
        assert places == sorted(places)


def test_a_silent_source_holds_up_no_other_and_a_stop_ends_all() -> None:
    stop = Event()
    merged = MergedSource([Listed([], wait=True), Listed([str(i) for i in range(20)])])
    began = monotonic()
    arrivals = merged.arrivals(stop, Known())
    assert [next(arrivals).id for _ in range(20)] == [str(i) for i in range(20)]
    stop.set()
    assert list(arrivals) == []
    assert monotonic() - began < 20


def test_an_error_comes_after_what_was_before_it() -> None:
    merged = MergedSource([Listed(["a"], error=DataError("the disk is gone"))])
    arrivals = merged.arrivals(Event(), Known())
    assert next(arrivals).id == "a"
    with pytest.raises(DataError, match="gone"):
        next(arrivals)


def test_two_folders_with_the_same_names(tmp_path: Path) -> None:
    for place, folder in enumerate(("one", "two")):
        for i in range(8):
            path = tmp_path / folder / label_of(i) / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(i + 8 * place))
    both = [f"folder:{tmp_path / 'one'}", f"folder:{tmp_path / 'two'}"]
    first = settings_for(both[0], tmp_path / "run", once=True)
    assert run_stream(first, feature_source=fake_feature_source())["accepted"] == 8
    # A second one later: the first one's photos are not learned again.
    for _ in range(2):
        chosen = settings_for(both, tmp_path / "run", once=True)  # type: ignore[arg-type]
        assert run_stream(chosen, feature_source=fake_feature_source())["accepted"] == 16


def test_ids_with_a_prefix_are_asked_for_with_it() -> None:
    source = PrefixedSource(Listed(["a", "b"]), "folder:two/")
    found = [arrival.id for arrival in source.arrivals(Event(), Known("folder:two/a", "b"))]
    assert found == ["folder:two/b"]


def test_a_source_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="each once"):
        settings_for(["jsonl:-", "jsonl:-"], tmp_path)  # type: ignore[arg-type]
