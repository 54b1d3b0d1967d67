"""Several label sets of the same photos: one pass through the backbone, and a run each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgetransfer import Classifier
from edgetransfer.cli.main import application
from tests.photos import backbone, photos

__all__ = ["backbone", "photos"]


@pytest.fixture
def manifests(photos: Path) -> list[Path]:
    """What the folders say, and whether a photo is of the first class."""
    files = [photos.parent / f"{name}.csv" for name in ("colours", "is_red")]
    for file, told in zip(files, (str, lambda name: str(name == "red")), strict=True):
        lines = ["path,label,split"]
        for path in sorted(photos.glob("*/*/*.png")):
            split, colour, _ = path.relative_to(photos).parts
            lines.append(f"{path.relative_to(photos.parent)},{told(colour)},{split}")
        file.write_text("\n".join(lines))
    return files


def trained(*given: str | Path) -> tuple[int, str, str]:
    found = CliRunner().invoke(application(("train",)), ["train", *map(str, given)])
    return found.exit_code, found.stdout, found.output


def test_one_pass_serves_them_all(
    manifests: list[Path], backbone: Path, photos: Path, tmp_path: Path
) -> None:
    own = ["--backbone", backbone, "--solver", "ridge", "--engine", "onnxruntime"]
    own += ["--cache-dir", tmp_path / "cache", "--json", "--no-report", "--threads", "1"]
    code, out, _ = trained(
        "--data", manifests[0], "--also", manifests[1], "--out", tmp_path / "runs", *own
    )
    assert code == 0
    first, second = json.loads(out)
    assert (first["n_classes"], second["n_classes"]) == (3, 2)
    assert first["features"]["computed"] == 75
    assert second["features"] == {"computed": 0, "from_cache": 75}
    assert min(report["final"]["top1"] for report in (first, second)) > 0.8
    with Classifier.load(tmp_path / "runs" / "is_red", engine="onnxruntime") as classifier:
        assert classifier.predict(photos / "test" / "red" / "000.png").classes[0] == "True"


def test_what_would_collide_is_refused(manifests: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "colours.csv"
    for further, said in (([other], "two label sets"), ([manifests[1], "--online"], "cached")):
        code, _, error = trained(
            "--data", manifests[0], "--out", tmp_path / "runs", "--also", *further
        )
        assert code != 0
        assert said in " ".join(error.split())
        assert not (tmp_path / "runs").exists()
