"""What a data set is, and the photos in it: folders and manifests here, the rest in `stores`."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from edgetransfer.data.found import Found, FoundPhoto, Remark
from edgetransfer.data.held_out import some_of
from edgetransfer.data.labels import checked_label, easily_confused
from edgetransfer.data.layouts import layout_of
from edgetransfer.data.manifests import ENDINGS, read_manifest
from edgetransfer.data.samples import Stored
from edgetransfer.data.stores import (
    ARCHIVES,
    QUERY,
    TABLES,
    FarPhoto,
    arrow_files,
    far_files,
    found_by_query,
    found_in_arrow,
    found_in_saved,
    found_in_streamed,
    is_saved,
    tree_of,
    with_environment,
)
from edgetransfer.data.walking import APPLE_DOUBLE, HIDDEN, Folder, walk
from edgetransfer.errors import DataError
from edgetransfer.names import readable
from edgetransfer.paths import STREAMED, address_of, without_query
from edgetransfer.settings.extract import INDEX


def found_at(path: Path, suffixes: frozenset[str]) -> Found:
    """The photos of a data set, whatever it is.

    Parameters
    ----------
    path
        ``${NAME}`` in an address is the environment's.
    suffixes
        The endings of image files, in lower case.

    Raises
    ------
    UsageError
        If a library that reads such data sets is not installed, or a variable is not set.
    DataError
        If there is none, or it cannot be read or understood.
    """
    found = _found(path if _is_here(path) else with_environment(path), suffixes)
    counts = Counter(photo.label for photo in found.photos)
    alike = [
        " and ".join(f"{name!r} ({counts[name]} photos)" for name in names)
        for names in easily_confused({*found.classes, *counts})
    ]
    remarks = [
        f"the classes {names} differ in case, blanks or invisible characters only; if they are "
        "one, give them one name"
        for names in alike
    ]
    return replace(found, remarks=(*found.remarks, *((logging.WARNING, text) for text in remarks)))


def _found(path: Path, suffixes: frozenset[str]) -> Found:
    far = address_of(path)
    if far is None or _is_here(path):
        return _found_here(path, suffixes)
    if far.startswith(STREAMED):
        return found_in_streamed(far)
    ending = without_query(path).name.lower()
    if ending.endswith(TABLES):
        return found_in_arrow(path)
    if ending.endswith((*ENDINGS, QUERY)):
        raise DataError(
            f"{far}: a manifest or a query must be a file here; the paths in it may be addresses"
        )
    if not ending.endswith(ARCHIVES):
        files = far_files(far)
        if not any(ending_of(file) in suffixes for file in files) and (
            tables := arrow_files(path, files)
        ):
            return found_in_arrow(path, tables)
    return _in_tree(path, suffixes)


def _is_here(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _like(path: Path) -> str:
    """What is there under nearly that name."""
    try:
        near = get_close_matches(
            path.name, [file.name for file in path.parent.iterdir()], n=1, cutoff=0.7
        )
    except (OSError, ValueError):
        return ""
    return f"; did you mean {readable(str(path.parent / near[0]))}?" if near else ""


def _found_here(path: Path, suffixes: frozenset[str]) -> Found:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{path}: no such folder or file{_like(path)}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{readable(str(path))}: cannot be read: {error}") from error
    if (path / INDEX).is_file():
        raise DataError(
            f"{path}: tables of features, made by `edgetransfer extract`, which train, audit and "
            "search take; give the photos themselves"
        )
    ending = path.name.lower()
    if path.is_dir():
        return _in_folder(path, suffixes)
    if ending.endswith(ENDINGS):
        return _in_manifest(path)
    if ending.endswith(TABLES):
        return found_in_arrow(path)
    if ending.endswith(ARCHIVES):
        return _in_tree(path, suffixes)
    if ending.endswith(QUERY):
        return found_by_query(path)
    kinds = ", ".join((*ENDINGS, *TABLES, *ARCHIVES[:3], QUERY))
    raise DataError(f"{path}: not a folder, and no file of photos and labels ({kinds})")


def _in_folder(path: Path, suffixes: frozenset[str]) -> Found:
    if is_saved(path):
        return found_in_saved(path)
    seen = walk(path)
    files = list(seen.root.all_files())
    if not any(ending_of(file) in suffixes for file in files) and (
        tables := arrow_files(path, files)
    ):
        return found_in_arrow(path, tables)
    found = _in_folders(path, seen.root, suffixes, lambda file: path / file)
    left_out = tuple(sorted((kind, len(paths)) for kind, paths in seen.left_out.items()))
    return replace(found, left_out=left_out, remarks=(*remarks_on(seen.left_out), *found.remarks))


def _in_tree(path: Path, suffixes: frozenset[str]) -> Found:
    tree = tree_of(path)
    found = _in_folders(path, tree.root, suffixes, lambda file: tree.photos[file])
    left_out = tuple(sorted(tree.left_out.items()))
    return replace(found, left_out=left_out, remarks=(*tree.remarks, *found.remarks))


def _in_folders(
    path: Path,
    root: Folder,
    suffixes: frozenset[str],
    source_of: Callable[[str], Path | Stored],
) -> Found:
    """Class folders, wherever they are."""
    try:
        layout = layout_of(root, lambda file: ending_of(file) in suffixes)
    except DataError as error:
        raise DataError(f"{readable(address_of(path) or str(path))}: {error}") from error
    photos: list[FoundPhoto] = []
    classes = set()
    ignored: Counter[str] = Counter()
    for part in layout.parts:
        try:
            label = checked_label(part.class_name)
        except DataError as error:
            where = readable(str(path / part.folder.path))
            raise DataError(f"{where}: {error}; rename the folder") from error
        if part.split in (None, "train"):
            classes.add(label)
        for file in part.folder.all_files():
            if (ending := ending_of(file)) in suffixes:
                source = source_of(file)
                photos.append(FoundPhoto(id=file, source=source, label=label, split=part.split))
            else:
                ignored[ending or "no ending"] += 1
    endings = [
        f"ignored {count} files with ending {readable(ending)}"
        for ending, count in sorted(ignored.items())
    ]
    return Found(
        photos=tuple(photos),
        classes=frozenset(classes),
        ignored=ignored,
        remarks=tuple((logging.WARNING, text) for text in (*layout.remarks, *endings)),
    )


def _in_manifest(path: Path) -> Found:
    manifest = read_manifest(path)
    remarks: tuple[Remark, ...] = ()
    if again := manifest.repeated:
        some = some_of(f"{row.path} in line {row.line}" for row in again)
        text = f"{len(again)} rows name a file again, and count once: {some}"
        remarks = ((logging.WARNING, text),)
    photos = tuple(
        FoundPhoto(id=row.path, source=_named(row.path, path), label=row.label, split=row.split)
        for row in manifest.rows
    )
    return Found(photos=photos, remarks=remarks)


def _named(text: str, manifest: Path) -> Path | Stored:
    """What a row of a manifest names: a file, or an address."""
    address = address_of(text)
    return manifest.parent / text if address is None else FarPhoto(address=address)


def remarks_on(left_out: dict[str, list[str]]) -> tuple[Remark, ...]:
    """What a walk passed over: how many of each kind, and a few by name."""
    return tuple(
        (
            logging.INFO if kind in (HIDDEN, APPLE_DOUBLE) else logging.WARNING,
            f"left out {len(paths)} {kind}: {some_of(paths)}",
        )
        for kind, paths in sorted(left_out.items())
    )


def ending_of(file: str) -> str:
    """The ending of a file's name, in lower case, with its dot."""
    return os.path.splitext(file)[1].lower()  # noqa: PTH122  (a `Path` each would take long)
