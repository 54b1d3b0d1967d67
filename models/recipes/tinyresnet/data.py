"""Tiny ImageNet from its JPEG sheets, and the training view, on whole batches."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

TILE = 64
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def load_sheets(folder: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Cut the sheets of one split, ``folder/<class>.jpg``, into tiles.

    Returns the tiles, (N, 64, 64, 3) uint8, their labels, (N,) int64, and the class names in
    sorted order. Tiles stand row by row in a sheet.
    """
    sheets = sorted(folder.glob("*.jpg"))
    if not sheets:
        raise SystemExit(f"no sheets (*.jpg) in {folder}; see README.md beside this recipe")
    tiles, labels = [], []
    for label, sheet in enumerate(sheets):
        pixels = np.asarray(Image.open(sheet).convert("RGB"))
        rows, columns = pixels.shape[0] // TILE, pixels.shape[1] // TILE
        grid = pixels.reshape(rows, TILE, columns, TILE, 3).swapaxes(1, 2)
        tiles.append(grid.reshape(rows * columns, TILE, TILE, 3))
        labels.append(np.full(rows * columns, label, np.int64))
    return np.concatenate(tiles), np.concatenate(labels), [s.stem for s in sheets]


def normalise(tiles: np.ndarray) -> Tensor:
    """(B, 64, 64, 3) uint8 tiles to a (B, 3, 64, 64) float32 channels-last tensor."""
    x = torch.from_numpy(tiles).permute(0, 3, 1, 2).float().div_(255)
    return x.sub_(torch.tensor(MEAN).view(1, 3, 1, 1)).div_(torch.tensor(STD).view(1, 3, 1, 1))


def train_view(x: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Random resized crop (area 0.4 to 1, aspect 3/4 to 4/3) and flip of a whole batch.

    One affine map an image, sampled bilinearly to (B, 3, size, size).
    """
    n = len(x)
    area, ratio, right, down, flip = torch.rand(5, n, generator=generator)
    area = 0.4 + 0.6 * area
    aspect = torch.exp((2 * ratio - 1) * math.log(4 / 3))
    width = (area * aspect).sqrt().clamp(max=1)
    height = (area / aspect).sqrt().clamp(max=1)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = width * torch.where(flip < 0.5, -1.0, 1.0)
    theta[:, 0, 2] = (2 * right - 1) * (1 - width)
    theta[:, 1, 1] = height
    theta[:, 1, 2] = (2 * down - 1) * (1 - height)
    grid = F.affine_grid(theta, [n, 3, size, size], align_corners=False)
    view = F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return view.contiguous(memory_format=torch.channels_last)
