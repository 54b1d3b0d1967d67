"""Photos of a data set that Hugging Face's ``datasets`` saved on this disk."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from edgetransfer.data.found import Found
from edgetransfer.data.samples import Stored
from edgetransfer.data.split_names import split_of_word
from edgetransfer.data.stores.reaching import reason
from edgetransfer.data.stores.rows import Columns, RowReader
from edgetransfer.errors import DataError, UsageError
from edgetransfer.reprs import short_repr

_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_UPDATE_DOWNLOAD_COUNTS": "0",
}


@dataclass(frozen=True, kw_only=True)
class SavedPhoto(Stored):
    """A photo of a saved data set: the file is mapped into memory, and read where it is used.

    Parameters
    ----------
    folder
        Of the data set, or of one of its splits.
    row
        In it.
    column
        Of the photos.
    """

    folder: str
    row: int
    column: str

    __repr__ = short_repr

    def read(self) -> bytes:
        """See `Stored.read`."""
        try:
            cell = _opened(self.folder, self.column)[self.row][self.column]
        except (DataError, UsageError, IndexError, KeyError) as error:
            raise OSError(str(error)) from error
        if cell is None:
            return b""
        return (
            bytes(cell["bytes"]) if cell["bytes"] is not None else Path(cell["path"]).read_bytes()
        )

    @property
    def size(self) -> int:
        """See `Stored.size`."""
        return len(self.read())

    @property
    def stamp(self) -> str:
        """See `Stored.stamp`."""
        content = self.read()
        return f"{len(content)} {zlib.crc32(content)}"


def is_saved(folder: Path) -> bool:
    """Whether ``save_to_disk`` made this folder."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )


def found_in_saved(folder: Path) -> Found:
    """The photos of a saved data set and its splits.

    Raises
    ------
    UsageError
        If datasets is not installed.
    DataError
        If it is damaged, or has no photos or labels.
    """
    loaded = _loaded(str(folder))
    parts = loaded.items() if hasattr(loaded, "items") else [("", loaded)]
    reader = RowReader(str(folder), folder)
    for name, part in parts:
        where = folder / name if name else folder
        split = split_of_word(name)
        if name and split is None:
            raise DataError(f"{folder}: its split {name!r} is none of train, validation and test")
        columns = Columns.among(part.column_names, str(where))
        feature = part.features[columns.image]
        if type(feature).__name__ != "Image":
            raise DataError(
                f"{where}: its column {columns.image} is of {type(feature).__name__}, not of "
                "Image; cast it by cast_column"
            )
        names = getattr(part.features[columns.label], "names", None)
        others = [column for column in columns.all if column != columns.image]
        for number, row in enumerate(part.select_columns(others)):
            place = f"{name}#{number}" if name else f"#{number}"
            photo = SavedPhoto(folder=str(where), row=number, column=columns.image)
            reader.add({**row, columns.image: photo}, columns, place, names=names, split=split)
    return reader.found()


def offline_library(where: str) -> Any:
    """The module ``datasets``, told before it is imported to ask nobody for news.

    Raises
    ------
    UsageError
        If it is not installed.
    """
    for name, value in _OFFLINE.items():
        os.environ.setdefault(name, value)
    return library(where)


def library(where: str) -> Any:
    """The module ``datasets``, which reaches what it is asked for.

    Raises
    ------
    UsageError
        If it is not installed.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import datasets
    except ImportError as error:
        raise UsageError(
            f"{where}: it needs datasets: pip install 'edgetransfer[datasets]' brings it"
        ) from error
    return datasets


def _loaded(folder: str) -> Any:
    datasets = offline_library(folder)
    try:
        return datasets.load_from_disk(folder)
    except Exception as error:  # pyarrow's, its own and the system's
        raise DataError(f"{folder}: damaged, or only partly written: {reason(error)}") from error


@lru_cache(maxsize=16)
def _opened(folder: str, column: str) -> Any:
    import datasets

    return _loaded(folder).cast_column(column, datasets.Image(decode=False))
