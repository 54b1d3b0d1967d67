"""What `train`, `finetune`, `stream` or `export` left, opened: backbone, head and how to run them.

A run folder, or the one ONNX file that `export` writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.catalogue import is_known
from edgetransfer.errors import BackboneError, HeadError, RunFolderError, UsageError
from edgetransfer.features import default_cache_folder
from edgetransfer.heads import LinearHead
from edgetransfer.merging import is_merged, read_merged
from edgetransfer.runs import RunFolder
from edgetransfer.runs.pending import pending
from edgetransfer.runs.run_folder import BACKBONE, HEAD, REPORT
from edgetransfer.settings.config import load
from edgetransfer.settings.train import LinearTraining
from edgetransfer.typed import misfit_field
from edgetransfer.types import Preprocessing
from edgetransfer.untrusted_json import json_value

UNKNOWN_BELOW = "unknown_below"  # in a head's metadata
BATCH_SIZE = 64  # of a file, which says nothing of it


@dataclass(frozen=True, kw_only=True)
class OpenedRun:
    """A trained classifier, not yet in an engine.

    Parameters
    ----------
    backbone
        Fed as the head was trained.
    head
        On its features.
    batch_size
        Of the engine.
    cache
        Where the engine's plan and trials are kept.
    config
        The run's configuration; empty of a file.
    settings
        What it says of a linear training; None of a file.
    unknown_below
        Below which probability a photo shows none of the classes; None if that was not set.
    """

    backbone: Backbone
    head: LinearHead
    batch_size: int
    cache: Path
    config: Mapping[str, Any] = field(default_factory=dict)
    settings: LinearTraining | None = None
    unknown_below: float | None = None


def open_run(run: Path, *, backbone: str | None = None, batch_size: int | None = None) -> OpenedRun:
    """Open a run folder, or a file that `export` wrote.

    Parameters
    ----------
    backbone
        Where the backbone is now, if it was moved; it must be the same file.
    batch_size
        Of the engine; the run's own if None.

    Raises
    ------
    EdgeTransferError
        If the run is not finished, or its backbone is missing or another.
    """
    if is_merged(run):
        if backbone is not None:
            raise UsageError(f"{run} has its backbone in it; --backbone is for a run folder")
        file = read_merged(run)
        return OpenedRun(
            backbone=file.backbone,
            head=file.head,
            batch_size=batch_size or BATCH_SIZE,
            cache=default_cache_folder(),
            unknown_below=file.unknown_below,
        )
    folder = RunFolder.open(run)
    if (change := pending(folder.path)) is not None:
        raise RunFolderError(
            f"{run}: {change} was cut off, so its head may be an old one; `edgetransfer check "
            f"{run}` says more, and the next start of the stream finishes it"
        )
    _check_there(folder)
    head = LinearHead.load(folder.file(HEAD))
    settings = _settings_of(folder, head, backbone=backbone, batch_size=batch_size)
    if backbone is None and not is_known(settings.backbone):
        raise BackboneError(
            f"{settings.backbone}: the run's backbone is no longer there; if it was moved, "
            "give --backbone FILE"
        )
    # Preprocessing is the head's own: what a card says by now must not change what it predicts.
    given = _preprocessing_of(folder, head)
    opened = Backbone.open(settings.backbone, features=settings.features).seeing(given)
    head.check_backbone(opened.identity, folder.file(HEAD))
    if head.dimension != opened.dimension:
        raise HeadError(
            f"{folder.file(HEAD)}: a damaged head file: it takes {head.dimension} features, "
            f"and the backbone makes {opened.dimension}"
        )
    return OpenedRun(
        backbone=opened,
        head=head,
        batch_size=settings.batch_size,
        cache=settings.cache_dir or default_cache_folder(),
        config=folder.read_config(),
        settings=settings,
        unknown_below=_threshold_of(folder, head),
    )


def _check_there(folder: RunFolder) -> None:
    """Say why a run that is all right has no head yet."""
    if folder.file(HEAD).exists():
        return
    if folder.is_stream:
        raise RunFolderError(
            f"{folder.path}: has no head yet: it comes with the stream's next checkpoint, once a "
            "class was learned"
        )
    if not folder.file(REPORT).exists():
        raise RunFolderError(f"{folder.path}: has no head yet: --resume goes on with the training")


def _threshold_of(folder: RunFolder, head: LinearHead) -> float | None:
    text = head.metadata.get(UNKNOWN_BELOW)
    try:
        return None if text is None else float(text)
    except ValueError as error:
        raise RunFolderError(
            f"{folder.file(HEAD)}: its {UNKNOWN_BELOW} is no number: {error}"
        ) from error


def _preprocessing_of(folder: RunFolder, head: LinearHead) -> Preprocessing:
    try:
        values = json_value(head.metadata["preprocessing"])
        for name in ("mean", "std"):
            values[name] = tuple(values[name])
        if (text := misfit_field(Preprocessing(**values))) is not None:
            raise ValueError(text)
        return Preprocessing(**values)
    except (KeyError, TypeError, ValueError, OverflowError, UsageError) as error:
        raise RunFolderError(
            f"{folder.file(HEAD)}: its preprocessing is not of this version: {error}"
        ) from error


def _settings_of(
    folder: RunFolder, head: LinearHead, *, backbone: str | None, batch_size: int | None
) -> LinearTraining:
    """The settings of a run, as far as opening its backbone goes.

    The feature tensor is the head's own: another place of the file must not change what it
    predicts.
    """
    config = folder.read_config()
    for name in ("stream", "from_run", "finetune", "plan"):  # these say nothing of its backbone
        config.pop(name, None)
    if folder.file(BACKBONE).is_file():
        config["backbone"] = str(folder.file(BACKBONE))
    if (features := head.metadata.get("features")) is None:
        raise RunFolderError(f"{folder.file(HEAD)}: does not say on which tensor it was trained")
    config["features"] = features
    for name in ("data", "out"):
        config.setdefault(name, ".")  # an exported folder does not say
    if backbone is not None:
        config["backbone"] = backbone
    if batch_size is not None:
        config["batch_size"] = batch_size
    return load(LinearTraining, config, folder.path)
