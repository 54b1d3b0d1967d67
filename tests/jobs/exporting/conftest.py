"""The small data set and backbone, a run on them, and few engines: each takes seconds to try."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetransfer import train_linear
from edgetransfer.engines import available_kinds
from edgetransfer.jobs.exporting import checking
from tests.photos import backbone, photos

__all__ = ["backbone", "photos"]


@pytest.fixture(autouse=True)
def _engines_without_trials(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if request.node.get_closest_marker("slow") is None:
        quick = tuple(k for k in available_kinds() if k.name in ("sparse", "onnxruntime"))
        monkeypatch.setattr(checking, "available_kinds", lambda: quick)


@pytest.fixture
def run(photos: Path, backbone: Path, tmp_path: Path) -> Path:
    """A finished linear run."""
    train_linear(
        backbone=str(backbone),
        data=str(photos),
        out=str(tmp_path / "run"),
        cache_dir=str(tmp_path / "cache"),
        engine="onnxruntime",
        threads=1,
        solver="lbfgs",
        l2=1e-3,
    )
    return tmp_path / "run"
