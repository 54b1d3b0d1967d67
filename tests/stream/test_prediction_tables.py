"""Predictions of a stream as Parquet: all of them, each once, whatever happens in between."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetransfer.errors import EdgeTransferError, TakenError
from edgetransfer.stream import prediction_tables, run_stream
from edgetransfer.stream.keeping import predictions
from edgetransfer.stream.prediction_tables import PredictionTables
from tests.stream.stream_pictures import fake_feature_source, label_of, picture, settings_for
from tests.stream.test_webhook import until, write

pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_tables, "LOOK", 0.005)
    monkeypatch.setattr(prediction_tables, "LONGEST", 0.0)


def rows(folder: Path) -> list[dict[str, Any]]:
    paths = sorted(folder.glob("*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def written(run: Path, folder: Path) -> dict[str, Any]:
    tables = PredictionTables(run, folder)
    tables.start()
    tables.close()
    return dict(tables.report())


@pytest.mark.parametrize("seed", range(3))
def test_each_is_written_once_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Tables of all sizes, rotations, restarts; kills between a table and its state."""
    rng = np.random.default_rng(seed)
    run, folder = tmp_path / "run", tmp_path / "tables"
    run.mkdir()
    monkeypatch.setattr(prediction_tables, "ROWS", 5)
    monkeypatch.setattr(predictions, "LARGEST", 2000)
    names: list[str] = []
    for step in range(30):
        batch = [f"{step}-{i}" for i in range(rng.integers(1, 15))]
        write(run, batch)
        names += batch
        state = run / "prediction_tables.json"
        before = state.read_bytes() if state.exists() else None
        assert written(run, folder)["gaps"] == 0
        if before is not None and rng.integers(2):
            state.write_bytes(before)  # as if it had been killed before this was written
            assert written(run, folder)["gaps"] == 0
    assert [row["id"] for row in rows(folder)] == names


def test_of_a_stream(tmp_path: Path) -> None:
    """What the stream says of each sample without a label; of those with one nothing."""
    for i in range(24):
        photo = tmp_path / "photos" / (label_of(i) if i < 12 else "") / f"{i}.png"
        photo.parent.mkdir(parents=True, exist_ok=True)
        photo.write_bytes(picture(i))
    source = f"folder:{tmp_path / 'photos'}"
    given: dict[str, Any] = {"once": True, "predictions": tmp_path / "tables"}
    report = run_stream(
        settings_for(source, tmp_path / "run", **given), feature_source=fake_feature_source()
    )
    found = rows(tmp_path / "tables")
    assert sorted(row["id"] for row in found) == sorted(f"{i}.png" for i in range(12, 24))
    assert report["prediction_tables"]["written"] == 12
    assert report["prediction_tables"]["waiting_bytes"] == 0
    lines = (tmp_path / "run" / "predictions.jsonl").read_text().splitlines()
    assert found == [json.loads(line) for line in lines]


def test_a_full_disk_holds_up_nothing_and_gets_all_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, folder = tmp_path / "run", tmp_path / "tables"
    run.mkdir()
    write(run, ["a", "b"])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(prediction_tables, "write_atomically", full)
        report = written(run, folder)
    assert "No space" in report["error"]
    assert report["written"] == 0
    assert report["waiting_bytes"] > 0
    assert written(run, folder)["written"] == 2
    assert [row["id"] for row in rows(folder)] == ["a", "b"]


def test_they_are_written_while_it_runs(tmp_path: Path) -> None:
    run, folder = tmp_path / "run", tmp_path / "tables"
    run.mkdir()
    tables = PredictionTables(run, folder)
    tables.start()
    try:
        write(run, ["a"])
        until(lambda: len(rows(folder)) == 1)
        write(run, ["b"])
        until(lambda: len(rows(folder)) == 2)
    finally:
        tables.close()


@pytest.mark.parametrize("state", [b"", b"[", b'{"url": "/elsewhere"}'])
def test_tables_of_others_are_not_touched(tmp_path: Path, state: bytes) -> None:
    run, other, folder = tmp_path / "run", tmp_path / "other", tmp_path / "tables"
    for one in (run, other):
        one.mkdir()
        write(one, ["a"])
    written(run, folder)
    before = [(path.name, path.read_bytes()) for path in folder.iterdir()]
    (other / "prediction_tables.json").write_bytes(state)
    with pytest.raises(TakenError, match="did not write"):
        PredictionTables(other, folder)
    assert before == [(path.name, path.read_bytes()) for path in folder.iterdir()]


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EdgeTransferError, match=r"--predictions .*cannot be made"):
        PredictionTables(tmp_path, tmp_path / "file" / "tables")
    assert os.listdir(tmp_path) == ["file"]
