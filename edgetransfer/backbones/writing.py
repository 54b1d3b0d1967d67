"""A backbone and its card, written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import onnx

from edgetransfer.atomic import temporary_folder, write_together
from edgetransfer.backbones.backbone import Backbone
from edgetransfer.backbones.card import METADATA_KEY, BackboneCard, card_path
from edgetransfer.errors import BackboneError, TakenError, UsageError


def check_target(out: Path, *, overwrite: bool, source: Path | None = None) -> None:
    """Refuse a name under which no backbone can be written; call it before the work.

    Raises
    ------
    UsageError
        If the name does not end in ``.onnx``, or its folder is missing.
    TakenError
        If it is the file that is read, or is there already.
    """
    if out.suffix != ".onnx":
        raise UsageError(f"--out {out}: the name must end in .onnx")
    # Not resolve(): of a link to itself that raises what is no OSError.
    if source is not None and os.path.realpath(source) == os.path.realpath(out):
        raise TakenError(f"--out {out} is the file that is read: give another name")
    if out.is_dir():
        raise TakenError(f"--out {out} is a folder; it names the ONNX file to make")
    if not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}")
    taken = [out] if out.exists() or _is_left(card_path(out)) else [card_path(out)]
    for path in taken:
        if path.exists() and not overwrite:
            raise TakenError(f"{path} is there already: choose another --out, or --overwrite")


def _is_left(card: Path) -> bool:
    """Whether a card is that of a file, such as a killed call leaves, and none written by hand."""
    try:
        return bool(tomllib.loads(card.read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError):
        return False


def write_backbone(
    model: onnx.ModelProto,
    card: BackboneCard,
    out: Path,
    *,
    made_from: Path,
    beside: Mapping[Path, bytes] = MappingProxyType({}),
) -> Backbone:
    """Write a model and its card side by side, after opening them once elsewhere.

    The card's hash, dimension and sparsities are those of the model; a card inside it goes.

    Parameters
    ----------
    made_from
        The file that errors name.
    beside
        More files, by their paths: all are written, or none.

    Returns
    -------
    The written backbone.

    Raises
    ------
    BackboneError
        If the model cannot be used as a backbone; nothing is written then.
    """
    kept = [entry for entry in model.metadata_props if entry.key != METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    content = model.SerializeToString(deterministic=True)
    card = replace(card, sha256=hashlib.sha256(content).hexdigest(), assumed=False)
    with temporary_folder() as folder:
        path = folder / "backbone.onnx"
        path.write_bytes(content)
        card_path(path).write_text(card.to_toml(), encoding="utf-8")
        try:
            opened = Backbone.open(path)
            card = replace(
                card,
                dimension=opened.dimension,
                sparsity=opened.sparsity,
                sparsity_with_classifier=opened.sparsity_with_classifier,
            )
        except BackboneError as error:
            raise BackboneError(str(error).replace(str(path), str(made_from))) from error
    # The model last: without its card it would be read by another preprocessing.
    write_together(
        {
            **{path: [more] for path, more in beside.items()},
            card_path(out): [card.to_toml().encode()],
            out: [content],
        }
    )
    return replace(opened, path=out, card=card)
