"""``edgetransfer predict``: tables, sorted copies, the unknown."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetransfer import Classifier, Prediction, train_linear
from edgetransfer.cli.main import main
from edgetransfer.errors import ImageError


@pytest.fixture
def run(photos: Path, backbone: Path, tmp_path: Path) -> Path:
    train_linear(
        backbone=backbone,
        data=photos,
        out=tmp_path / "run",
        cache_dir=tmp_path / "cache",
        engine="onnxruntime",
        solver="lbfgs",
        l2=1e-3,
    )
    return tmp_path / "run"


def predict(run: Path, *arguments: object) -> int:
    return main(["predict", str(run), *map(str, arguments), "--engine", "onnxruntime"])


def median(run: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> float:
    """A threshold that half of the photos do not reach."""
    predict(run, photos / "test", "--json")
    found = json.loads(capsys.readouterr().out)["predictions"]
    best = sorted(p["probabilities"][0] for p in found if p["error"] is None)
    return (best[len(best) // 2] + best[len(best) // 2 - 1]) / 2


def test_a_table_says_what_json_says(
    run: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = photos / "test" / 'a, "b"\nc'
    shutil.move(photos / "test" / "red", odd)
    (odd / "000.png").write_bytes(b"no picture")
    capsys.readouterr()
    threshold = median(run, photos, capsys)
    assert predict(run, photos / "test", "--json", "--unknown-below", threshold) == 3
    expected = json.loads(capsys.readouterr().out)["predictions"]
    for top in (1, 2, 99):
        assert (
            predict(run, photos / "test", "--csv", "--top", top, "--unknown-below", threshold) == 3
        )
        rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        assert len(rows) == len(expected) == 15
        for row, prediction in zip(rows, expected, strict=True):
            assert None not in row
            assert row["photo"].replace("\\x0a", "\n") == prediction["id"]
            assert row["error"] == (prediction["error"] or "")
            names = [row[f"class{rank}"] for rank in ("", "_2", "_3")[: min(top, 3)]]
            if prediction["error"]:
                assert set(names) == {""}
                assert row["unknown"] == ""
                continue
            assert names == prediction["classes"][: min(top, 3)]
            assert float(row["probability"]) == pytest.approx(
                prediction["probabilities"][0], abs=1e-6
            )
            assert row["unknown"] == str(prediction["unknown"]).lower()
    assert {p["unknown"] for p in expected} == {True, False}


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".csv"])
def test_files_say_what_json_says(
    ending: str, run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of files from another hand's reader; photos that are none are rows too."""
    (photos / "test" / "red" / "000.png").write_bytes(b"no picture")
    out = tmp_path / f"found{ending}"
    out.write_bytes(b"what was there")
    assert predict(run, photos / "test", "--json", "--out", out) == 3
    told = capsys.readouterr()
    expected = json.loads(told.out)["predictions"]
    assert f"15 predictions written to {out}" in told.err
    if ending == ".parquet":
        found = pytest.importorskip("pyarrow.parquet").read_table(out).to_pylist()
    elif ending == ".jsonl":
        found = [json.loads(line) for line in out.read_text().splitlines()]
    else:
        assert predict(run, photos / "test", "--csv") == 3
        assert out.read_text() == capsys.readouterr().out
        return
    assert found == expected
    saved = tmp_path / f"saved{ending}"
    with Classifier.load(run, engine="onnxruntime") as classifier:
        classifier.predict(sorted(photos.glob("test/*/*.png"))).save(saved)
    assert saved.read_bytes() == out.read_bytes()


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".csv"])
def test_a_file_is_whole_or_as_it_was(
    ending: str, run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "results" / f"found{ending}"
    assert predict(run, photos / "test", "--out", out) == 1  # no such folder
    out.parent.mkdir()
    out.write_bytes(b"what was there")

    def broken(self: Classifier, sources: list[Path], **options: object) -> Iterator[Prediction]:
        yield Prediction(id="a.png", classes=("red",), probabilities=(1.0,))
        raise ImageError("stopped")

    monkeypatch.setattr(Classifier, "predict_each", broken)
    assert predict(run, photos / "test", "--out", out) == 3
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert out.read_bytes() == b"what was there"


def test_photos_are_copied_to_their_classes(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in photos.rglob("*.png")}
    capsys.readouterr()
    threshold = median(run, photos, capsys)
    assert predict(run, photos / "test", "--json", "--unknown-below", threshold) == 0
    predictions = json.loads(capsys.readouterr().out)["predictions"]
    out = tmp_path / "sorted"
    for _ in range(2):
        assert (
            predict(run, photos / "test", "--sort-into", out, "--unknown-below", threshold, "-q")
            == 0
        )
        assert capsys.readouterr().err == ""
        copies = [path for path in out.rglob("*") if path.is_file()]
        assert len(copies) == 15
    for prediction in predictions:
        folder = out / ("unknown" if prediction["unknown"] else prediction["classes"][0])
        content = Path(prediction["id"]).read_bytes()
        assert content in [path.read_bytes() for path in folder.iterdir()]
    assert before == {path: path.read_bytes() for path in photos.rglob("*.png")}


def test_a_broken_photo_is_named_and_not_copied(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "test" / "red" / "000.png").write_bytes(b"no picture")
    assert predict(run, photos / "test", "--sort-into", tmp_path / "sorted") == 3
    assert "14 photos copied" in capsys.readouterr().err
    assert len([path for path in (tmp_path / "sorted").rglob("*") if path.is_file()]) == 14


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--json", "--csv"], "exclude each other"),
        (["--out", "found.txt"], "its ending is .parquet, .jsonl or .csv"),
        (["-", "--sort-into", "x"], "standard input"),
        (["--unknown-below", "2"], "0 to 1"),
    ],
)
def test_wishes_that_do_not_fit(
    arguments: list[str],
    said: str,
    run: Path,
    photos: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Input:
        buffer = io.BytesIO(b"")

    monkeypatch.setattr("sys.stdin", Input)
    assert predict(run, photos / "test", *arguments) == 2
    assert said in capsys.readouterr().err


def test_short_options(capsys: pytest.CaptureFixture[str]) -> None:
    from edgetransfer import __version__

    assert main(["-V"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"
