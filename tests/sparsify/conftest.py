"""A small residual backbone and unlabelled photos for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgetransfer.backbones.card import BackboneCard
from edgetransfer.types import Preprocessing
from tests.graphs_made import tiny

SIZE = 32


def write_textures(folder: Path, count: int, seed: int = 0) -> Path:
    """Photos of smoothed noise: neighbouring pixels are alike, as in real ones."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for i in range(count):
        coarse = rng.integers(0, 256, (7, 6, 3), np.uint8)
        Image.fromarray(coarse).resize((48, 40), Image.Resampling.BICUBIC).save(
            folder / f"{i:03d}.png"
        )
    return folder


@pytest.fixture(scope="session")
def textures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_textures(tmp_path_factory.mktemp("textures"), 48)


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    """Stem, batch-norm, a residual block of a grouped and a plain convolution, classifier."""
    path = tiny(size=SIZE, width=16).save(tmp_path / "dense.onnx")
    card = BackboneCard(name="dense", preprocessing=Preprocessing(size=SIZE, resize=36))
    path.with_suffix(".toml").write_text(card.to_toml())
    return path


@pytest.fixture(autouse=True)
def _short_timings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fewest batches will do where speed itself is not what is tested."""
    monkeypatch.setattr("edgetransfer.sparsify.timing.TURN_SECONDS", 0.0)
    monkeypatch.setattr("edgetransfer.sparsify.timing.LAYER_SECONDS", 0.0)
    monkeypatch.setattr("edgetransfer.sparsify.timing.TURNS", 1)
