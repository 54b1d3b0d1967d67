"""Folders of features without any photo, as wide as those of the tests' `FakeEngine`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgetransfer.features.table_index import Index, n_parts, part_name
from edgetransfer.features.tables import ENDING, Origin, TableRows, write_table
from edgetransfer.settings.extract import INDEX
from edgetransfer.types import Preprocessing
from tests.stream.stream_pictures import CLASSES, COLOURS, SIDE, label_of

DIMENSION = 48


def origin_of(**others: Any) -> Origin:
    values = {
        "backbone": "fake",
        "identity": "0" * 64 + ":y",
        "preprocessing": Preprocessing(size=SIDE, resize=SIDE),
        "tensor": "y",
        "engine": "sparse",
        "engine_version": "1",
        "dimension": DIMENSION,
        "dtype": "float32",
    }
    return Origin(**{**values, **others})


def rows_of(numbers: range, split: str = "train") -> TableRows:
    """Rows of class ``i % 4``, each its colour with noise of its own."""
    features = []
    for i in numbers:
        colour = np.repeat(COLOURS[i % len(COLOURS)], DIMENSION // 3)
        features.append(colour / 255 + np.random.default_rng(i).normal(0, 0.1, DIMENSION))
    return TableRows(
        ids=[f"n{i}" for i in numbers],
        labels=[label_of(i) for i in numbers],
        splits=[split] * len(numbers),
        features=np.array(features, np.float32),
        problems={},
    )


def write_folder(
    folder: Path, rows: TableRows, *, per_table: int = 100, origin: Origin | None = None
) -> Path:
    """As `extract` would have left it."""
    origin = origin_of() if origin is None else origin
    folder.mkdir()
    index = Index(
        origin=origin,
        classes=tuple(sorted(CLASSES)),
        photos=len(rows.ids),
        rows=per_table,
        fingerprint="0",
        data="photos",
    )
    (folder / INDEX).write_text(index.text())
    for number in range(n_parts(len(rows.ids), per_table)):
        places = np.arange(len(rows.ids))[number * per_table : (number + 1) * per_table]
        write_table(folder / f"{part_name(number)}{ENDING}", rows.only(places), origin)
    return folder


def joined(*parts: TableRows) -> TableRows:
    fields = [asdict(part) for part in parts]
    ends = np.cumsum([0] + [len(part.ids) for part in parts]).tolist()
    return TableRows(
        ids=[name for part in parts for name in part.ids],
        labels=[name for part in parts for name in part.labels],
        splits=[name for part in parts for name in part.splits],
        features=np.concatenate([field["features"] for field in fields]),
        problems={
            end + place: reason
            for end, part in zip(ends, parts, strict=False)
            for place, reason in part.problems.items()
        },
    )
