"""The small backbone, and photos some of which are doubtful."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.photos import COLOURS, backbone

__all__ = ["backbone", "doubtful"]


class Doubtful:
    """Class folders, and what was made doubtful in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.flipped: set[str] = set()
        self.copies: set[tuple[str, str]] = set()


@pytest.fixture
def doubtful(tmp_path):
    """90 training photos of three colours with structure, 6 in a wrong folder, 4 copies."""
    made = Doubtful(tmp_path / "photos")
    rng = np.random.default_rng(0)
    names = list(COLOURS)
    for label, name in enumerate(names):
        for split, count in (("train", 30), ("test", 6)):
            folder = made.folder / split / name
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                small = rng.normal(COLOURS[name], 45, (5, 6, 3))
                pixels = np.clip(small, 0, 255).astype(np.uint8)
                image = Image.fromarray(pixels).resize((60, 48), Image.Resampling.BICUBIC)
                home = name
                if split == "train" and i < 2:
                    home = names[(label + 1) % 3]
                    made.flipped.add(f"train/{home}/{name}{i}.png")
                (made.folder / split / home).mkdir(parents=True, exist_ok=True)
                image.save(made.folder / split / home / f"{name}{i}.png")
    red = made.folder / "train" / "red"
    for i, change in ((10, ImageOps.mirror), (11, lambda image: image.resize((90, 72)))):
        change(Image.open(red / f"red{i}.png")).save(red / f"z{i}.jpg", quality=90)
        made.copies.add((f"train/red/red{i}.png", f"train/red/z{i}.jpg"))
    shutil.copy(red / "red12.png", red / "z12.png")
    made.copies.add(("train/red/red12.png", "train/red/z12.png"))
    Image.open(red / "red13.png").save(made.folder / "test" / "red" / "z13.jpg", quality=85)
    made.copies.add(("train/red/red13.png", "test/red/z13.jpg"))
    return made
