"""Photos and the tables of their features, and how a stream takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgetransfer import extract_features
from edgetransfer.stream import (
    KeepingSettings,
    StreamSettings,
)
from tests.photos import backbone, photos, write_photos

__all__ = ["backbone", "made", "photos", "settings_for"]


@pytest.fixture(scope="module")
def made(backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos and their tables, made once."""
    folder = tmp_path_factory.mktemp("made")
    write_photos(folder / "photos" / "train", 20, seed=0)
    write_photos(folder / "photos" / "test", 5, seed=1)
    extract_features(
        data=folder / "photos",
        out=folder / "features",
        backbone=str(backbone),
        engine="onnxruntime",
        normalisation="half",
        rows=20,
    )
    return folder


def settings_for(out: Path, *sources: str, **others: Any) -> StreamSettings:
    return StreamSettings(
        source=sources,
        out=out,
        engine="onnxruntime",
        threads=1,
        keeping=KeepingSettings(checkpoint_seconds=1e9),
        **others,
    )
