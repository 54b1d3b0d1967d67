"""Folders and shards that once went wrong, as the shared data folder builds them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edgetransfer.data import load_data
from edgetransfer.data import walking as kinds
from edgetransfer.data.streams import TarSource
from edgetransfer.errors import DataError
from tests.data.test_streams import Known

SUFFIXES = frozenset([".jpg"])

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cases(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    script = shared_data / "cases" / "make_cases.py"
    if not script.is_file():
        pytest.skip("the program that makes the cases is not here")
    folder = tmp_path_factory.mktemp("cases")
    subprocess.run([sys.executable, str(script), str(folder)], check=True)
    return folder


@pytest.mark.parametrize(
    ("name", "train", "test", "left_out"),
    [
        ("loop1", 24, 0, {kinds.LINKS: 1}),
        ("loop2", 24, 0, {kinds.LINKS: 2}),
        ("catsdogs", 36, 18, {}),
        ("intel", 36, 18, {}),
        ("nas", 24, 0, {kinds.STORAGE: 3}),
        ("latin1_bad_photo", 91, 0, {}),
        ("forms", 24, 0, {}),
        ("cloud", 17, 0, {kinds.PLACEHOLDERS: 7}),
    ],
)
def test_folders(cases: Path, name: str, train: int, test: int, left_out: dict[str, int]) -> None:
    splits = load_data(cases / name, suffixes=SUFFIXES)
    assert splits.sizes["train"] == {"photos": train, "classes": 3}
    assert splits.sizes["test"]["photos"] == test
    assert dict(splits.left_out) == left_out


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("flatsplit", r"test \(6 photos\), train \(12 photos\)"),
        ("quote/m.csv", "line 22: "),
    ],
)
def test_refusals(cases: Path, name: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        load_data(cases / name, suffixes=SUFFIXES)


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root may list every folder")
def test_a_locked_folder(cases: Path) -> None:
    with pytest.raises(DataError, match=r"red/2023: this folder cannot be listed"):
        load_data(cases / "locked", suffixes=SUFFIXES)


@pytest.mark.parametrize("name", ["shard_dots_in_names", "shard_not_sorted"])
def test_shards(shared_data: Path, name: str) -> None:
    path = shared_data / "cases" / "shards" / f"{name}.tar"
    if not path.is_file():
        pytest.skip("the shards are not here")
    source = TarSource(str(path), suffixes=SUFFIXES)
    found = list(source.arrivals(threading.Event(), Known()))
    assert len(found) == len({arrival.id for arrival in found}) == 24
    assert all(a.problem is None and a.source and a.label for a in found)
    assert len({arrival.label for arrival in found}) == 3
