"""Data sets from disk: class folders and manifests."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgetransfer.data.copies import groups_of_copies
from edgetransfer.data.held_out import hold_out, some_of, with_learned_too
from edgetransfer.data.labels import checked_label, easily_confused
from edgetransfer.data.layouts import layout_of
from edgetransfer.data.manifests import ENDINGS, read_manifest
from edgetransfer.data.samples import DataSplits, Sample, check_classes, split_off
from edgetransfer.data.split_names import Split
from edgetransfer.data.walking import APPLE_DOUBLE, HIDDEN, Walk, walk
from edgetransfer.errors import DataError, UsageError
from edgetransfer.names import readable
from edgetransfer.settings.extract import INDEX

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Photo:
    """A labelled photo; its id is its path as it was found, its split None where there are none."""

    id: str
    file: Path
    label: str
    split: Split | None


Remark = tuple[int, str]
"""A level of `logging`, and what a person should know."""


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What a folder or manifest holds; ``classes`` are those of the training part, empty or not."""

    photos: tuple[_Photo, ...]
    classes: frozenset[str] = frozenset()
    ignored: Counter[str] = field(default_factory=Counter)
    left_out: tuple[tuple[str, int], ...] = ()
    remarks: tuple[Remark, ...] = ()

    def of(self, split: Split) -> tuple[_Photo, ...]:
        """The photos of a split; what is in none is there to train on."""
        return tuple(photo for photo in self.photos if (photo.split or "train") == split)


def load_data(
    path: Path,
    *,
    suffixes: frozenset[str],
    test_data: Path | None = None,
    val_fraction: float = 0.0,
    seed: int = 0,
) -> DataSplits:
    """Load a data set with its splits.

    Copies of a photo, byte for byte, are kept on one side of a held-out part, and those of
    training photos in given validation and test parts are named; only files of equal size are
    compared, and only where there is such a part.

    Parameters
    ----------
    path
        A folder with one folder a class, or with ``train`` (and ``val``, ``test``) folders of
        those; see `layout_of`. Or a manifest, CSV or JSON Lines, with ``path``, ``label`` and
        perhaps ``split``; see `read_manifest`.
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
    found = _found(path, suffixes)
    _say(path, found.remarks)
    train = found.of("train")
    if not train and found.photos:
        raise DataError(f"{path}: it has a {found.photos[0].split} split, but no train split")
    classes = tuple(sorted({photo.label for photo in train} | found.classes))
    samples = _samples(train, classes, path)
    check_classes(str(path), classes, samples)
    splits = DataSplits(
        classes=classes,
        train=samples,
        val=_samples(found.of("val"), classes, path),
        test=_samples(found.of("test"), classes, path),
        ignored=tuple(sorted(found.ignored.items())),
        left_out=found.left_out,
    )
    if test_data is not None:
        taken = {sample.id for part in (splits.train, splits.val) for sample in part}
        test = load_labelled(test_data, classes, suffixes=suffixes)
        # Two data sets may use one name for two photos, and what is skipped is told by its id.
        named = (replace(s, id=str(s.source)) if s.id in taken else s for s in test)
        splits = replace(splits, test=tuple(named))
    if splits.val or not val_fraction:
        return with_learned_too(splits, ("val", "test"))
    return with_learned_too(hold_out(splits, val_fraction, seed), ("test",))


def load_labelled(
    path: Path, classes: Sequence[str], *, suffixes: frozenset[str]
) -> tuple[Sample, ...]:
    """Load images whose classes are already known, to be tested on.

    A folder or manifest with splits gives its ``test`` split, or else ``val``; never ``train``.

    Raises
    ------
    DataError
        If there is no image to test on, or a class that is not among ``classes``.
    """
    found = _found(path, suffixes)
    _say(path, found.remarks)
    if not found.photos:
        raise DataError(f"{path}: no images found; expected one folder a class")
    if all(photo.split is None for photo in found.photos):
        return _samples(found.photos, tuple(classes), path)
    chosen = found.of("test")
    if not chosen:
        chosen = found.of("val")
        if not chosen:
            raise DataError(
                f"{path}: it has a train split, but none to test on; to test on training photos "
                "all the same, give that folder itself, or a manifest without the column split"
            )
        logger.warning("%s: no test split; its val split is taken", path)
    return _samples(chosen, tuple(classes), path)


def training_part(
    path: Path, *, suffixes: frozenset[str], val_fraction: float, seed: int
) -> tuple[Sample, ...]:
    """The photos that `load_data` gives to train on, their labels unknown; nothing is logged.

    Raises
    ------
    DataError
        If the data set is not there any more, or not as it was.
    """
    train = _found(path, suffixes).of("train")
    if not train:
        raise DataError(f"{path}: no training images are there any more")
    index = {name: i for i, name in enumerate(sorted({photo.label for photo in train}))}
    samples = _samples(train, tuple(index), path)
    if val_fraction:
        samples, _ = split_off(samples, val_fraction, seed, groups_of_copies(samples))
    return samples


def find_images(path: Path, *, suffixes: frozenset[str]) -> list[Path]:
    """The image files below a folder, sorted; what is passed over is logged, see `walk`.

    Raises
    ------
    DataError
        If a folder cannot be listed.
    """
    seen = walk(path)
    _say(path, remarks_on(seen.left_out))
    return [path / file for file in seen.root.all_files() if ending_of(file) in suffixes]


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


def _found(path: Path, suffixes: frozenset[str]) -> _Found:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{path}: no such folder or file") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{readable(str(path))}: cannot be read: {error}") from error
    if (path / INDEX).is_file():
        raise DataError(
            f"{path}: tables of features, made by `edgetransfer extract`, which only train learns "
            "from; give the photos themselves"
        )
    if path.is_dir():
        found = _in_folder(path, walk(path), suffixes)
    elif path.suffix.lower() in ENDINGS:
        found = _in_manifest(path)
    else:
        raise DataError(
            f"{path}: not a folder, and not a manifest ({', '.join(ENDINGS)}) of path and label"
        )
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


def _in_folder(path: Path, seen: Walk, suffixes: frozenset[str]) -> _Found:
    try:
        layout = layout_of(seen.root, lambda file: ending_of(file) in suffixes)
    except DataError as error:
        raise DataError(f"{readable(str(path))}: {error}") from error
    photos: list[_Photo] = []
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
                photos.append(_Photo(id=file, file=path / file, label=label, split=part.split))
            else:
                ignored[ending or "no ending"] += 1
    left_out = tuple(sorted((kind, len(paths)) for kind, paths in seen.left_out.items()))
    endings = [
        f"ignored {count} files with ending {readable(ending)}"
        for ending, count in sorted(ignored.items())
    ]
    return _Found(
        photos=tuple(photos),
        classes=frozenset(classes),
        ignored=ignored,
        left_out=left_out,
        remarks=(
            *remarks_on(seen.left_out),
            *((logging.WARNING, text) for text in (*layout.remarks, *endings)),
        ),
    )


def _in_manifest(path: Path) -> _Found:
    manifest = read_manifest(path)
    remarks: tuple[Remark, ...] = ()
    if again := manifest.repeated:
        some = some_of(f"{row.path} in line {row.line}" for row in again)
        text = f"{len(again)} rows name a file again, and count once: {some}"
        remarks = ((logging.WARNING, text),)
    photos = tuple(
        _Photo(id=row.path, file=path.parent / row.path, label=row.label, split=row.split)
        for row in manifest.rows
    )
    return _Found(photos=photos, remarks=remarks)


def _samples(photos: Sequence[_Photo], classes: tuple[str, ...], path: Path) -> tuple[Sample, ...]:
    # Heads of earlier versions may name a class in another Unicode form than `checked_label`.
    index = {_composed(name): i for i, name in enumerate(classes)}
    unknown = sorted({photo.label for photo in photos} - set(index))
    if unknown:
        raise DataError(
            f"{path}: class {unknown[0]!r} is not among the {len(classes)} classes trained on"
        )
    return tuple(Sample(id=p.id, source=p.file, label=index[p.label]) for p in photos)


def _say(path: Path, remarks: Iterable[Remark]) -> None:
    for level, text in remarks:
        logger.log(level, "%s: %s", readable(str(path)), text)


def _composed(name: str) -> str:
    try:
        return checked_label(name)
    except DataError:
        return name
