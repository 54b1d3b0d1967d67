"""What a merged file says of itself, in its ``metadata_props``.

    edgetransfer.format         edgetransfer-export-1
    edgetransfer.labels         JSON: the class names, in the order of the probabilities
    edgetransfer.preprocessing  JSON: size, resize, mean, std, interpolation and channels, as in
                                `edgetransfer.types.Preprocessing`, and inside: whether the graph
                                normalises by itself
    edgetransfer.unknown_below  a probability, 0 to 1: where none of the classes reaches it, a photo
                                shows none of them; not there if no such threshold was set. 0:
                                none is taken for unknown, by its distance neither
    edgetransfer.unknown_distance  JSON: threshold, of the output of that name, above which a photo
                                probably shows none of the classes, and rejected, the share of
                                photos that do show one and lie above it; not there if the head
                                does not know
    edgetransfer.feature_map    what the head does to features first, where it does something:
                                `edgetransfer.heads.FeatureMap`; the graph has it in it
    edgetransfer.card           TOML: the backbone's card, with the feature tensor

The input is ``images``: (n, 3, S, S) float32, normalised, in the order of channels that the
preprocessing names; or, where the graph normalises by itself, (n, S, S, 3) uint8 RGB. Both are
resized and cropped before. The output is ``probabilities``, (n, K) float32; a temperature that the
head was calibrated by is in its weights. Where the head knows how far its classes' photos lie from
them, a second output is ``unknown_distance``, (n,) float32 (`edgetransfer.heads.Novelty`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from edgetransfer.errors import BackboneError, UsageError
from edgetransfer.names import json_text
from edgetransfer.types import Preprocessing
from edgetransfer.untrusted_json import json_value

FORMAT = "edgetransfer-export-1"
FORMAT_KEY = "edgetransfer.format"
LABELS_KEY = "edgetransfer.labels"
PREPROCESSING_KEY = "edgetransfer.preprocessing"
UNKNOWN_KEY = "edgetransfer.unknown_below"
DISTANCE_KEY = "edgetransfer.unknown_distance"
MAP_KEY = "edgetransfer.feature_map"


def check_threshold(value: float) -> float:
    """A threshold for the unknown, as it is.

    Raises
    ------
    UsageError
        If it is no probability.
    """
    if not 0 <= value <= 1:
        raise UsageError(f"--unknown-below is a probability, 0 to 1, not {value}")
    return value


def written(
    classes: tuple[str, ...],
    preprocessing: Preprocessing,
    *,
    inside: bool,
    unknown_below: float | None,
) -> dict[str, str]:
    """The metadata of a merged file, but for the card."""
    said = {
        FORMAT_KEY: FORMAT,
        LABELS_KEY: json_text(classes),
        PREPROCESSING_KEY: json.dumps({**asdict(preprocessing), "inside": inside}),
    }
    if unknown_below is not None:
        said[UNKNOWN_KEY] = repr(check_threshold(unknown_below))
    return said


def classes_in(said: Mapping[str, str]) -> tuple[str, ...]:
    """The class names.

    Raises
    ------
    BackboneError
        If they are not there, or no list of names.
    """
    try:
        names = json_value(said[LABELS_KEY])
    except (KeyError, ValueError, RecursionError) as error:
        raise BackboneError(f"its class names cannot be read: {error}") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BackboneError("its class names are no list of names")
    return tuple(names)


def preprocessing_in(said: Mapping[str, str]) -> tuple[Preprocessing, bool]:
    """The preprocessing, and whether the graph normalises by itself.

    Raises
    ------
    BackboneError
        If it is not there, or not of this version.
    """
    try:
        values = json_value(said[PREPROCESSING_KEY])
        inside = values.pop("inside")
        for name in ("mean", "std"):
            values[name] = tuple(values[name])
        return Preprocessing(**values), bool(inside)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, UsageError) as error:
        raise BackboneError(f"its preprocessing is not of this version: {error}") from error


def threshold_in(said: Mapping[str, str]) -> float | None:
    """Below which probability a photo shows none of the classes; None if that was not set.

    Raises
    ------
    BackboneError
        If it is no probability.
    """
    if UNKNOWN_KEY not in said:
        return None
    try:
        return check_threshold(float(said[UNKNOWN_KEY]))
    except (ValueError, UsageError) as error:
        raise BackboneError(f"its {UNKNOWN_KEY} is no probability: {error}") from error
