"""Which of a network's outputs stands for which class of somebody's photos."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetransfer.errors import DataError
from edgetransfer.untrusted_json import json_value

IMAGENET = Path(__file__).with_name("imagenet_classes.txt")
IMAGENET_CLASSES = 1000
WNID = re.compile(r"n\d{8}")
FILED_BY_WNID = re.compile(r"(n\d{8})(?:[_-].*)?")


@dataclass(frozen=True, kw_only=True)
class MatchedClasses:
    """The output of each class, and what they were matched by."""

    outputs: tuple[int, ...]
    by: str


def wnid_of(file: str) -> str | None:
    """The WordNet id that a photo's name begins with, as ImageNet's photos are called."""
    found = FILED_BY_WNID.fullmatch(Path(file).stem)
    return found[1] if found else None


def match_classes(
    classes: Sequence[str], outputs: int, labels: Path | None = None
) -> MatchedClasses:
    """Find the output of each class.

    By a file of labels, one line an output; else by ImageNet's wnids or class names where the
    network has its outputs (with one more, TensorFlow's, the first stands for the background);
    else, if there are as many classes as outputs, by their alphabetical order, as torchvision's
    folders are read.

    Raises
    ------
    DataError
        If a class has no output, or several.
    """
    if labels is not None:
        names = _read_labels(labels)
        if len(names) != outputs:
            raise DataError(f"{labels}: {len(names)} labels, but the network has {outputs} outputs")
        return MatchedClasses(outputs=_look_up(classes, names, str(labels)), by=labels.name)
    background = outputs - IMAGENET_CLASSES
    if background in (0, 1):
        names = _read_labels(IMAGENET)
        known = {_plain(name) for entry in names for name in entry}
        if all(_plain(name) in known for name in classes):
            found = _look_up(classes, names, "ImageNet's classes")
            kind = "wnids" if all(WNID.fullmatch(name) for name in classes) else "class names"
            return MatchedClasses(
                outputs=tuple(index + background for index in found), by=f"ImageNet's {kind}"
            )
    if len(classes) == outputs:
        order = sorted(range(outputs), key=lambda index: classes[index])
        places = {index: place for place, index in enumerate(order)}
        return MatchedClasses(
            outputs=tuple(places[index] for index in range(outputs)), by="alphabetical order"
        )
    raise DataError(
        f"the network has {outputs} outputs, the data {len(classes)} classes, such as "
        f"{classes[0]!r}, and their names are not ImageNet's: say which output is which by "
        "--labels FILE, one name a line in the order of the outputs"
    )


def _look_up(
    classes: Sequence[str], names: Sequence[tuple[str, ...]], where: str
) -> tuple[int, ...]:
    found: dict[str, set[int]] = {}
    for index, entry in enumerate(names):
        for name in entry:
            found.setdefault(_plain(name), set()).add(index)
    result = []
    for name in classes:
        places = sorted(found.get(_plain(name), ()))
        if len(places) != 1:
            what = f"stands for outputs {places[:4]}" if places else "is not there"
            raise DataError(f"the class {name!r} {what} in {where}; rename it, or give --labels")
        result.append(places[0])
    if len(set(result)) < len(result):
        twice = next(i for i in result if result.count(i) > 1)
        both = [name for name, i in zip(classes, result, strict=True) if i == twice]
        raise DataError(f"the classes {both[0]!r} and {both[1]!r} are one output in {where}")
    return tuple(result)


def _plain(name: str) -> str:
    return " ".join(re.split(r"[\s_]+", name.strip().casefold()))


def _read_labels(path: Path) -> list[tuple[str, ...]]:
    """The names of each output: a line's, a JSON list's, or a JSON dictionary's by number.

    A line may be a name, or a wnid and names with commas after a tab or blank.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the labels cannot be read: {error}") from error
    if path.suffix.lower() == ".json":
        return [_names(entry) for entry in _json_entries(path, text)]
    lines = [line.strip() for line in text.splitlines()]
    return [_names(line) for line in lines if line and not line.startswith("#")]


def _json_entries(path: Path, text: str) -> list[str]:
    try:
        values = json_value(text)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    if isinstance(values, dict):
        places = [str(index) for index in range(len(values))]
        if set(values) != set(places):
            raise DataError(f"{path}: its keys are not the outputs' numbers from 0")
        values = [values[place] for place in places]
    if not isinstance(values, list):
        raise DataError(f"{path}: neither a list of labels nor labels by number")
    return ["\t".join(value) if isinstance(value, list) else str(value) for value in values]


def _names(line: str) -> tuple[str, ...]:
    wnid, _, rest = line.partition("\t") if "\t" in line else line.partition(" ")
    if not WNID.fullmatch(wnid):
        wnid, rest = "", line
    names = [wnid, rest, *rest.split(","), *rest.split("\t")]
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
