"""Data sets from disk: class folders and manifests."""

from __future__ import annotations

import csv
import json
import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from edgetransfer.data.samples import DataSplits, Sample, check_classes, split_off
from edgetransfer.errors import DataError, UsageError

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
MANIFESTS = (".csv", ".tsv", ".jsonl", ".ndjson")
_NOT_DATA = frozenset(["__MACOSX", "Thumbs.db", "desktop.ini"])

logger = logging.getLogger(__name__)

Row = tuple[str, Path, str, str]
"""id, file, class name, split"""


def load_data(
    path: Path,
    *,
    suffixes: frozenset[str],
    test_data: Path | None = None,
    val_fraction: float = 0.0,
    seed: int = 0,
) -> DataSplits:
    """Load a data set with its splits.

    Parameters
    ----------
    path
        A folder with one folder a class, or with ``train`` (and ``val``, ``test``) folders of
        those; or a manifest, CSV or JSON Lines, with ``path``, ``label`` and perhaps ``split``.
    suffixes
        The endings of image files, in lower case.
    test_data
        Test images of their own, in one of the same forms.
    val_fraction
        Share of the training images to hold out if there is no ``val``; 0 for none.
    seed
        Of the choice of held-out images.

    Raises
    ------
    DataError
        If there is nothing to learn from; the message says what was expected.
    """
    if not 0 <= val_fraction < 1:
        raise UsageError(f"--val-fraction lies between 0 and 1, not {val_fraction}")
    rows, ignored = _rows(path, suffixes)
    train = [row for row in rows if row[3] == "train"]
    if not train and rows:
        raise DataError(f"{path}: it has a {rows[0][3]} split, but no train split")
    classes = tuple(sorted({row[2] for row in train} | _class_folders(path)))
    samples = _samples(train, classes, path)
    check_classes(str(path), classes, samples)
    splits = DataSplits(
        classes=classes,
        train=samples,
        val=_samples([row for row in rows if row[3] == "val"], classes, path),
        test=_samples([row for row in rows if row[3] == "test"], classes, path),
        ignored=tuple(sorted(ignored.items())),
    )
    if test_data is not None:
        splits = replace(splits, test=load_labelled(test_data, classes, suffixes=suffixes))
    if not splits.val and val_fraction:
        rest, held = split_off(splits.train, val_fraction, seed)
        splits = replace(splits, train=rest, val=held)
    return splits


def load_labelled(
    path: Path, classes: Sequence[str], *, suffixes: frozenset[str]
) -> tuple[Sample, ...]:
    """Load images whose classes are already known, to be tested on.

    A folder or manifest with a ``test`` split gives that split, else all of it.

    Raises
    ------
    DataError
        If there is no image, or a class that is not among ``classes``.
    """
    rows, _ = _rows(path, suffixes)
    if any(row[3] == "test" for row in rows):
        rows = [row for row in rows if row[3] == "test"]
    if not rows:
        raise DataError(f"{path}: no images found; expected one folder a class")
    return _samples(rows, tuple(classes), path)


def find_images(path: Path, *, suffixes: frozenset[str]) -> Iterator[Path]:
    """The image files below a folder, sorted; hidden ones are left out."""
    for folder, folders, files in os.walk(path, followlinks=True):
        folders[:] = sorted(f for f in folders if not _hidden(f))
        for name in sorted(files):
            if not _hidden(name) and Path(name).suffix.lower() in suffixes:
                yield Path(folder, name)


def load_manifest(path: Path) -> dict[str, str]:
    """The label of each path that a manifest names, as written there.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    return {row[0]: row[2] for row in _manifest_rows(path)}


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in _NOT_DATA


def _rows(path: Path, suffixes: frozenset[str]) -> tuple[list[Row], Counter[str]]:
    if path.is_dir():
        rows, ignored = _folder_rows(path, suffixes)
        for ending, count in sorted(ignored.items()):
            logger.warning("%s: ignored %d files with ending %s", path, count, ending)
        beside = sum(p.suffix.lower() in suffixes for p in path.iterdir() if p.is_file())
        if beside:
            logger.warning("%s: ignored %d images beside the class folders", path, beside)
        return rows, ignored
    if not path.exists():
        raise DataError(f"{path}: no such folder or file")
    if path.suffix.lower() not in MANIFESTS:
        raise DataError(
            f"{path}: not a folder, and not a manifest ({', '.join(MANIFESTS)}) of path and label"
        )
    return _manifest_rows(path), Counter()


def _subfolders(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and not _hidden(p.name))


def _split_folders(path: Path) -> dict[Path, str]:
    """The split that each split folder holds; empty if the folder is not split."""
    found = {
        p: SPLIT_NAMES[p.name.lower()] for p in _subfolders(path) if p.name.lower() in SPLIT_NAMES
    }
    # A class may be called "test": only class folders inside make a split of it.
    found = {p: split for p, split in found.items() if _subfolders(p)}
    return found if "train" in found.values() or "test" in found.values() else {}


def _class_folders(path: Path) -> set[str]:
    """The names of all class folders of the training part, empty ones too."""
    if not path.is_dir():
        return set()
    splits = _split_folders(path)
    roots = [p for p, split in splits.items() if split == "train"] if splits else [path]
    return {folder.name for root in roots for folder in _subfolders(root)}


def _folder_rows(path: Path, suffixes: frozenset[str]) -> tuple[list[Row], Counter[str]]:
    rows: list[Row] = []
    ignored: Counter[str] = Counter()
    for root, split in (_split_folders(path) or {path: "train"}).items():
        for folder in _subfolders(root):
            for parent, folders, files in os.walk(folder, followlinks=True):
                folders[:] = sorted(f for f in folders if not _hidden(f))
                for name in sorted(f for f in files if not _hidden(f)):
                    file = Path(parent, name)
                    if file.suffix.lower() in suffixes:
                        rows.append((file.relative_to(path).as_posix(), file, folder.name, split))
                    else:
                        ignored[file.suffix.lower() or "no ending"] += 1
    return rows, ignored


def _manifest_rows(path: Path) -> list[Row]:
    rows: list[Row] = []
    for line, record in _records(path):
        where = f"{path}, line {line}"
        file, label = record.get("path"), record.get("label")
        if file in (None, "") or label in (None, ""):
            raise DataError(f"{where}: needs a path and a label")
        split = str(record.get("split") or "train").strip().lower()
        if split not in SPLIT_NAMES:
            raise DataError(f"{where}: split is train, val or test, not {split!r}")
        rows.append((str(file), path.parent / str(file), str(label), SPLIT_NAMES[split]))
    if not rows:
        raise DataError(f"{path}: the manifest has no rows")
    labels: dict[str, str] = {}
    for file, _, label, _ in rows:
        if labels.setdefault(file, label) != label:
            raise DataError(f"{path}: {file} is labelled {labels[file]!r} and {label!r}")
    return rows


def _records(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() in (".csv", ".tsv"):
                reader = csv.DictReader(
                    file,
                    delimiter="\t" if path.suffix.lower() == ".tsv" else ",",
                    skipinitialspace=True,
                )
                missing = {"path", "label"} - set(reader.fieldnames or [])
                if missing:
                    raise DataError(
                        f"{path}: the first line must name the columns path and label; "
                        f"{' and '.join(sorted(missing))} missing"
                    )
                for row in reader:
                    yield reader.line_num, dict(row)
                return
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    record = json.loads(line)
                except json.JSONDecodeError as error:
                    raise DataError(f"{path}, line {number}: not valid JSON: {error}") from error
                if not isinstance(record, dict):
                    raise DataError(f"{path}, line {number}: not a JSON object")
                yield number, record
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text: {error}") from error
    except (OSError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def _samples(rows: Sequence[Row], classes: tuple[str, ...], path: Path) -> tuple[Sample, ...]:
    index = {name: i for i, name in enumerate(classes)}
    unknown = sorted({row[2] for row in rows} - set(index))
    if unknown:
        raise DataError(
            f"{path}: class {unknown[0]!r} is not among the {len(classes)} classes trained on"
        )
    return tuple(Sample(id=row[0], source=row[1], label=index[row[2]]) for row in rows)
