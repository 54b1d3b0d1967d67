"""The backbone of tables of features, wherever it is now."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

from edgetransfer.backbones import Backbone, open_with
from edgetransfer.errors import BackboneError, DataError, UsageError
from edgetransfer.features.tables import Origin
from edgetransfer.settings.shared import DEFAULT_BACKBONE, BackboneReading, CardOverrides


def named_backbone(given: str, origin: Origin) -> str:
    """The backbone that is asked for; where none is, the one that the tables name."""
    return origin.backbone if given == DEFAULT_BACKBONE else given


def open_backbone_of(
    origin: Origin, folder: Path, backbone: str, reading: BackboneReading
) -> Backbone:
    """Open the backbone that made features, fed as it was then.

    Parameters
    ----------
    origin
        What made them.
    folder
        The tables, for what is said of them.
    backbone
        An ONNX file, or the name of a bundled backbone.
    reading
        What is said in place of its card, which must be as it was then.

    Raises
    ------
    DataError
        If it is not there, or another one.
    UsageError
        If it is to be fed otherwise.
    """
    made = f"{folder}: its features were made by {origin.backbone}"
    other = f"{made}, and {backbone} is another; name that one by --backbone"
    try:
        opened = open_with(backbone, replace(reading, features=origin.tensor))
    except BackboneError as error:
        gone = f"{made}, which cannot be opened here; say where it is by --backbone"
        said = gone if backbone == origin.backbone else other
        raise DataError(f"{said} ({error})") from error
    if opened.identity != origin.identity:
        raise DataError(other)
    _check_seen(origin, folder, opened, reading)
    return opened.seeing(origin.preprocessing)


def _check_seen(origin: Origin, folder: Path, opened: Backbone, reading: BackboneReading) -> None:
    """What is said in place of the card is what the photos were shown as."""
    if reading.features not in (None, origin.tensor):
        raise UsageError(
            f"--features: {folder} are features of tensor {origin.tensor!r}; leave the option out, "
            "or extract them anew"
        )
    for field in fields(CardOverrides):
        if getattr(reading, field.name) is None:
            continue
        shown = ("mean", "std", "channels") if field.name == "normalisation" else (field.name,)
        for name in shown:
            if getattr(opened.preprocessing, name) != getattr(origin.preprocessing, name):
                raise UsageError(
                    f"--{field.name}: {folder} are features of photos that were shown otherwise "
                    f"({name} {getattr(origin.preprocessing, name)}); leave the option out, or "
                    "extract them anew"
                )
