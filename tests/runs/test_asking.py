"""A letter box between processes: what is asked is done, and answered, or it is withdrawn."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from edgetransfer.errors import DataError, OwnedError
from edgetransfer.runs.asking import FOLDER, LetterBox, done_in
from edgetransfer.runs.owning import FolderOwner

REQUEST = {"do": "count", "ids": ["a", "b"]}


def stopped_in(run: Path, done: list[str]) -> Callable[[], dict[str, Any]]:
    def stopped() -> dict[str, Any]:
        owner = FolderOwner(run, "forget")
        done.append("stopped")
        owner.release()
        return {"by": "stopped"}

    return stopped


def counted(request: Mapping[str, Any]) -> dict[str, Any]:
    if "fails" in request:
        raise DataError("it fails")
    return {"n": len(request["ids"])}


class Owner:
    """Owns a folder, and looks into its letters so many times once they are there."""

    def __init__(self, run: Path, looks: int, *, listens: bool = True) -> None:
        self.asked = Event()
        self._owner = FolderOwner(run, "stream")
        if listens:
            self._owner.listen()
        self._box = LetterBox(run)
        self._looks = looks
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._box.full and not self.asked.wait(0.01):
            pass
        for _ in range(self._looks):
            self._box.empty(counted)
        self._owner.release()

    def end(self) -> None:
        self.asked.set()
        self._thread.join()


def test_an_owner_that_listens_does_it(tmp_path: Path) -> None:
    done: list[str] = []
    owner = Owner(tmp_path, 1)
    assert done_in(tmp_path, stopped_in(tmp_path, done), REQUEST) == {"n": 2}
    owner.end()
    assert done == []
    assert list(tmp_path.iterdir()) == []
    assert done_in(tmp_path, stopped_in(tmp_path, done), REQUEST) == {"by": "stopped"}


def test_what_fails_there_fails_here(tmp_path: Path) -> None:
    owner = Owner(tmp_path, 1)
    with pytest.raises(DataError, match="it fails"):
        done_in(tmp_path, stopped_in(tmp_path, []), {**REQUEST, "fails": True})
    owner.end()
    assert list(tmp_path.iterdir()) == []


def test_who_ends_without_having_looked_leaves_it_to_who_asked(tmp_path: Path) -> None:
    done: list[str] = []
    owner = Owner(tmp_path, 0)
    assert done_in(tmp_path, stopped_in(tmp_path, done), REQUEST) == {"by": "stopped"}
    owner.end()
    assert done == ["stopped"]
    assert list(tmp_path.iterdir()) == []


def test_who_does_not_listen_is_not_asked(tmp_path: Path) -> None:
    owner = Owner(tmp_path, 0, listens=False)
    with pytest.raises(OwnedError, match="edgetransfer stream"):
        done_in(tmp_path, stopped_in(tmp_path, []), REQUEST)
    owner.end()


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b"\xff", b"[" * 100_000],
    ids=["empty", "list", "cut", "bytes", "deep"],
)
def test_what_is_no_request_is_answered_and_holds_nothing_up(
    tmp_path: Path, content: bytes
) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / "00.json").write_bytes(content)
    (folder / "01.json").write_text(json.dumps(REQUEST))
    LetterBox(tmp_path).empty(counted)
    assert "not a request" in json.loads((folder / "00.answer").read_text())["error"]
    assert json.loads((folder / "01.answer").read_text()) == {"n": 2}
    assert not LetterBox(tmp_path).full


def test_a_request_that_was_cut_off_is_done_once_more(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / "00.json").write_text(json.dumps(REQUEST))

    def killed(_: Mapping[str, Any]) -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LetterBox(tmp_path).empty(killed)
    assert LetterBox(tmp_path).full
    LetterBox(tmp_path).empty(counted)
    assert (folder / "00.answer").exists()
