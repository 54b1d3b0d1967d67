"""An ONNX file is read once a command: each read is seconds and memory of a large backbone.

`sparsify` and `pretrain` read theirs again as they write, minutes later, rather than hold it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from edgetransfer.cli.main import main
from edgetransfer.graphs import canonical, untrusted
from edgetransfer.merging import reading
from tests.photos import backbone, photos  # noqa: F401

COMMANDS = {
    "train": "train --backbone NET --data PHOTOS --out new --cache-dir cache",
    "train --online": "train --backbone NET --data PHOTOS --out new --online --epochs 2",
    "predict": "predict run PHOTOS/test/red/000.png",
    "predict an export": "predict whole.onnx PHOTOS/test/red/000.png",
    "evaluate": "evaluate run PHOTOS/test --out test.html",
    "export": "export run --out new.onnx",
    "export a folder": "export run --out new --merge-head",
    "report": "report run",
    "inspect": "inspect NET --no-compare",
    "inspect --data": "inspect NET --no-compare --data PHOTOS/train",
    "compact": "compact NET --out smaller.onnx",
    "tune": "tune NET --seconds 0",
    "audit": "audit PHOTOS/train --backbone NET",
    "audit a run": "audit run",
    "extract": "extract --backbone NET --data PHOTOS/train --out tables",
    "search": "search run PHOTOS/test/red/000.png",
    "stream": "stream --backbone NET --source folder:PHOTOS/train --out live --once",
    "backbones": "backbones",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, backbone: Path) -> Path:  # noqa: F811
    """A folder with a run and what export makes of it."""
    from tests.photos import write_photos

    folder = tmp_path_factory.mktemp("once")
    write_photos(folder / "photos" / "train", 6, seed=0)
    write_photos(folder / "photos" / "test", 2, seed=1)
    words = ["train", "--backbone", backbone, "--data", folder / "photos", "--out", folder / "run"]
    assert main([*map(str, words), "--engine", "onnxruntime", "--no-report"]) == 0
    assert main(["export", str(folder / "run"), "--out", str(folder / "whole.onnx")]) == 0
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_is_parsed_once(
    name: str,
    run: Path,
    backbone: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import shutil

    here = tmp_path / "here"
    shutil.copytree(run, here)
    monkeypatch.chdir(here)
    monkeypatch.setenv("EDGETRANSFER_CACHE", str(tmp_path / "cache"))
    parsed: Counter[Path] = Counter()
    read = untrusted.read_model

    def counted(path: Path) -> untrusted.ReadModel:
        parsed[path.resolve()] += 1
        return read(path)

    for module in (canonical, reading):
        monkeypatch.setattr(module, "read_model", counted)
    given = {backbone, *here.rglob("*.onnx")}
    words = COMMANDS[name].replace("NET", str(backbone)).replace("PHOTOS", "photos").split()
    assert main(words) == 0
    # What a command writes it may read once more, to check it.
    assert {path: parsed[path] for path in given if parsed[path] > 1} == {}
    assert parsed or name == "backbones"
