"""Data sets whose photos are sheets: one image a class, of square tiles row by row.

So Tiny ImageNet is kept where files are few: ``train/CLASS.jpg`` and ``val/CLASS.jpg``.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from edgetransfer.data.labels import checked_label
from edgetransfer.data.samples import DataSplits, Sample, check_classes, split_off
from edgetransfer.data.split_names import Split, named_splits
from edgetransfer.errors import DataError

ENDINGS = frozenset([".jpg", ".jpeg", ".png", ".webp"])


def load_sheets(folder: Path, tile: int, *, val_fraction: float = 0.0, seed: int = 0) -> DataSplits:
    """Cut sheets into their tiles.

    Parameters
    ----------
    folder
        Holds sheets, or folders of them whose names say ``train`` and ``val`` or ``test``.
    tile
        Side of a tile, in pixels; a sheet is whole rows of whole tiles.
    val_fraction, seed
        As in `load_data`.

    Raises
    ------
    DataError
        If there are no sheets, or one is not made of such tiles.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; sheets are images in a folder, one a class")
    folders = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}
    kinds = named_splits(folders)
    parts: dict[Split, dict[str, Path]] = {"train": {}, "val": {}, "test": {}}
    for name, kind in kinds.items():
        parts[kind] |= _sheets(folders[name])
    if not parts["train"]:
        parts["train"] = _sheets(folder)
    if not parts["train"]:
        raise DataError(f"{folder}: no sheets found; one image a class is expected, in train/")
    classes = tuple(sorted(parts["train"]))
    made = {kind: _samples(sheets, classes, tile, folder) for kind, sheets in parts.items()}
    check_classes(str(folder), classes, made["train"])
    splits = DataSplits(classes=classes, train=made["train"], val=made["val"], test=made["test"])
    if splits.val or splits.test or not val_fraction:
        return splits
    train, val = split_off(splits.train, val_fraction, seed)
    return DataSplits(classes=classes, train=train, val=val)


def _sheets(folder: Path) -> dict[str, Path]:
    return {
        checked_label(path.stem): path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in ENDINGS
    }


def _samples(
    sheets: dict[str, Path], classes: tuple[str, ...], tile: int, folder: Path
) -> tuple[Sample, ...]:
    unknown = sorted(set(sheets) - set(classes))
    if unknown:
        raise DataError(f"{sheets[unknown[0]]}: its class has no sheet to train on in {folder}")
    found: list[Sample] = []
    for label, name in enumerate(classes):
        if name in sheets:
            path = sheets[name]
            tiles = _tiles(path, tile)
            place = path.relative_to(folder)
            found += [
                Sample(id=f"{place}#{number}", source=content, label=label)
                for number, content in enumerate(tiles)
            ]
    return tuple(found)


def _tiles(path: Path, tile: int) -> list[bytes]:
    """The tiles of a sheet as PNG files, which lose nothing."""
    try:
        with Image.open(path) as opened:
            sheet = opened.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: the sheet cannot be read: {error}") from error
    if sheet.width % tile or sheet.height % tile:
        raise DataError(
            f"{path}: {sheet.width} x {sheet.height} pixels are no whole tiles of {tile}; "
            "give --tile the side of one"
        )
    found = []
    for top in range(0, sheet.height, tile):
        for left in range(0, sheet.width, tile):
            buffer = io.BytesIO()
            cut = sheet.crop((left, top, left + tile, top + tile))
            cut.save(buffer, "PNG", compress_level=1)
            found.append(buffer.getvalue())
    return found
