"""The unfinished part of a sparsification: what is left of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetransfer.sparsify.work import WorkFolder


@pytest.mark.parametrize("failures", [0, 1, 9])
def test_what_cannot_be_deleted_is_tried_again_and_then_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failures: int,
) -> None:
    work = WorkFolder(tmp_path / "out.onnx", {})
    work.begin(resume=False)
    for name in ("0000.safetensors", "0001.safetensors"):
        (work.path / name).write_bytes(b"")
    unlink, left = Path.unlink, failures

    def failing(path: Path, missing_ok: bool = False) -> None:
        nonlocal left
        if path.name.startswith("0000") and left:
            left -= 1
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", failing)
    work.remove()
    stays = failures > 1
    assert [path.name for path in work.path.iterdir()] == ["0000.safetensors"] * stays
    assert (str(work.path / "0000.safetensors") in caplog.text) == stays
