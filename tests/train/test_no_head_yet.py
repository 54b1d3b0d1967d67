"""A run that has no head yet says so: it is not damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from edgetransfer.cli.main import main


@pytest.mark.parametrize(
    ("config", "more", "said", "code"),
    [
        ('backbone = "b.onnx"\n[stream]\n', {}, "once a class was learned", 1),
        ('backbone = "b.onnx"\n[stream]\n', {"report.json": "{}"}, "once a class was learned", 1),
        ('backbone = "b.onnx"\n', {}, "--resume goes on with the training", 1),
        ('backbone = "b.onnx"\n', {"report.json": "{}"}, "head.safetensors: no such file", 3),
    ],
)
def test_what_it_lacks_is_said(
    config: str,
    more: dict[str, str],
    said: str,
    code: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photo = tmp_path.parent / "photo.png"
    Image.new("RGB", (8, 8)).save(photo)
    for name, text in {"config.toml": config, **more}.items():
        (tmp_path / name).write_text(text)
    assert main(["predict", str(tmp_path), str(photo)]) == code
    assert said in capsys.readouterr().err
