"""Data sets with their splits, wherever their photos are."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from edgetransfer.confidential import without_secrets
from edgetransfer.data.copies import groups_of_copies
from edgetransfer.data.finding import ending_of, found_at, remarks_on
from edgetransfer.data.found import FoundPhoto, Remark
from edgetransfer.data.held_out import hold_out, with_learned_too
from edgetransfer.data.labels import checked_label
from edgetransfer.data.samples import DataSplits, Sample, check_classes, split_off
from edgetransfer.data.walking import walk
from edgetransfer.errors import DataError, UsageError
from edgetransfer.names import readable

logger = logging.getLogger(__name__)


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
        perhaps ``split``; see `read_manifest`. Or what `edgetransfer.data.stores` reads: an
        archive, Parquet or Arrow, a saved Hugging Face data set, a query, an address.
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
    found = found_at(path, suffixes)
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
    found = found_at(path, suffixes)
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
    train = found_at(path, suffixes).of("train")
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


def _samples(
    photos: Sequence[FoundPhoto], classes: tuple[str, ...], path: Path
) -> tuple[Sample, ...]:
    # Heads of earlier versions may name a class in another Unicode form than `checked_label`.
    index = {_composed(name): i for i, name in enumerate(classes)}
    unknown = sorted({photo.label for photo in photos} - set(index))
    if unknown:
        raise DataError(
            f"{path}: class {unknown[0]!r} is not among the {len(classes)} classes trained on"
        )
    return tuple(Sample(id=p.id, source=p.source, label=index[p.label]) for p in photos)


def _say(path: Path, remarks: Iterable[Remark]) -> None:
    for level, text in remarks:
        logger.log(level, "%s: %s", without_secrets(readable(str(path))), text)


def _composed(name: str) -> str:
    try:
        return checked_label(name)
    except DataError:
        return name
