"""A checkpoint or a foreign ONNX graph in; an ONNX backbone with its card out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from edgetransfer.backbones import BackboneCard
from edgetransfer.backbones.architectures import architecture, build
from edgetransfer.backbones.card import METADATA_KEY, override, read_card
from edgetransfer.backbones.checkpoints import find_parameters, kind_of, match, read_checkpoint
from edgetransfer.backbones.records import BackboneRecord
from edgetransfer.backbones.writing import check_target, write_backbone
from edgetransfer.errors import BackboneError, UsageError
from edgetransfer.features import default_cache_folder
from edgetransfer.graphs.canonical import read_canonical
from edgetransfer.graphs.freeze import input_layout
from edgetransfer.graphs.image_signs import what_normalises
from edgetransfer.jobs.importing.download import download, published
from edgetransfer.jobs.importing.onnx_names import name_weights
from edgetransfer.reports.backbones import ImportRecord, SourceRecord
from edgetransfer.settings.import_ import ImportSettings
from edgetransfer.types import Progress, no_progress


@dataclass(frozen=True, kw_only=True)
class _Imported:
    model: onnx.ModelProto
    card: BackboneCard
    details: SourceRecord
    warnings: tuple[str, ...] = ()


def import_backbone(
    settings: ImportSettings,
    *,
    cache: Path | None = None,
    base: str | None = None,
    progress: Progress = no_progress,
) -> ImportRecord:
    """Import a backbone; the keys of the result are those of the JSON.

    Zeros stay zeros: masks are multiplied in, and batch-norm, where it is not kept, is folded
    channel by channel. The written file is opened once before it gets its name.

    Parameters
    ----------
    cache
        Where downloads are kept.
    base
        An address in place of the publisher's.

    Raises
    ------
    BackboneError
        If the file is broken, or of no architecture that is known.
    UsageError
        If ``out`` is there already and may not be replaced.
    """
    check_target(settings.out, overwrite=settings.overwrite, source=settings.source)
    if settings.download is not None:
        settings = _downloaded(settings, settings.download, cache, base, progress)
    path = settings.source
    assert path is not None  # it or the download is there, see ImportSettings
    try:
        onnx_file = kind_of(path) == "onnx" and path.suffix not in (".pth", ".pt", ".ckpt", ".bin")
        made = _from_onnx(path, settings) if onnx_file else _from_checkpoint(path, settings)
    except BackboneError as error:
        raise (
            error if str(error).startswith(str(path)) else BackboneError(f"{path}: {error}")
        ) from error
    card = replace(
        made.card,
        name=settings.name or settings.out.stem,
        source=settings.origin or f"imported from {path.name}",
        licence=settings.licence or made.card.licence,
        pruning=settings.pruning or made.card.pruning,
        parent=_sha256(path),
    )
    opened = write_backbone(made.model, card, settings.out, made_from=path)
    report = opened.sparsity_report
    return {
        "out": str(settings.out),
        "card": opened.card.record,
        **made.details,
        "features": {"tensor": opened.cut.tensor, "dim": opened.dimension},
        "sparsity": report.sparsity,
        "pruned_filters": report.pruned_filters,
        "macs": {"dense": report.dense_macs, "nonzero": report.nonzero_macs},
        "warnings": [*made.warnings, *opened.warnings],
    }


def _downloaded(
    settings: ImportSettings,
    name: str,
    cache: Path | None,
    base: str | None,
    progress: Progress,
) -> ImportSettings:
    """The settings with the fetched file, and what is known of it."""
    record, source = published(name)
    folder = (cache or default_cache_folder()) / "downloads"
    path = download(source, folder, base=base, progress=progress)
    return as_recorded(settings, record, path, f"imported from {base or source.base}{path.name}")


def as_recorded(
    settings: ImportSettings, record: BackboneRecord, source: Path, origin: str
) -> ImportSettings:
    """The settings of an import of a known backbone's weights; a person's own come first."""
    return replace(
        settings,
        source=source,
        download=None,
        origin=settings.origin or origin,
        architecture=settings.architecture or record.architecture,
        scheme=settings.scheme or record.scheme,
        licence=settings.licence or f"{record.licence}; trained on {record.trained_on}",
        resize=settings.resize or (record.resize if settings.size is None else None),
        interpolation=settings.interpolation or record.interpolation,
    )


def _from_checkpoint(path: Path, settings: ImportSettings) -> _Imported:
    checkpoint = read_checkpoint(path)
    wanted = architecture(settings.architecture) if settings.architecture else None
    found = match(find_parameters(checkpoint.tree), wanted, scheme=settings.scheme, file=path.name)
    card = override(BackboneCard(name=settings.out.stem, preprocessing=found.scheme.card), settings)
    model = build(
        found.architecture,
        found.parameters,
        size=card.preprocessing.size,
        classifier=found.classes > 0,
        keep_batchnorm=settings.keep_batchnorm,
    )
    _check_finite(model)
    how = [f"masks of {found.masked} layers"] if found.masked else []
    how += [f"STR thresholds of {found.thresholded} layers"] if found.thresholded else []
    card = replace(card, pruning=f"as trained elsewhere; {', '.join(how)}" if how else None)
    details: SourceRecord = {
        "format": checkpoint.kind,
        "architecture": found.architecture.name,
        "naming": found.scheme.name,
        "root": found.root,
        "classes": found.classes,
        "other_widths": found.widths,
        "left": list(found.left),
        "masked_layers": found.masked,
        "thresholded_layers": found.thresholded,
        "passed_over": list(checkpoint.passed_over),
    }
    warnings = [f"{path.name}: {found.scheme.remark}"] if found.scheme.remark else []
    if found.left:
        warnings.append(
            f"{path.name}: the network was taken from {found.root or 'the top'!r}; left in the "
            f"file: {', '.join(found.left[:6])}{' and others' if len(found.left) > 6 else ''}"
        )
    return _Imported(model=model, card=card, details=details, warnings=tuple(warnings))


def _from_onnx(path: Path, settings: ImportSettings) -> _Imported:
    if settings.architecture is not None:
        raise UsageError("--architecture is for checkpoints; an ONNX file carries its own graph")
    opened = read_canonical(path)
    model = opened.model
    renamed = name_weights(model)
    layout, fixed_size = input_layout(model)
    read = read_card(path, model, fixed_size)
    card = override(
        replace(read, features=None) if renamed and read.features in renamed else read,
        settings,
    )
    # The card beside the new file speaks for it alone.
    kept = [item for item in model.metadata_props if item.key != METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    warnings = list(opened.notes)
    known = settings.normalisation or (settings.mean and settings.std)
    if read.assumed and not known:
        warnings.append(
            f"{path.name} has no card: ImageNet's preprocessing is written into the new one; "
            + what_normalises(model, layout, path.name)
        )
    details: SourceRecord = {
        "format": "onnx",
        "architecture": None,
        "naming": "the file's own",
        "named_weights": len(renamed),
    }
    return _Imported(model=model, card=card, details=details, warnings=tuple(warnings))


def _check_finite(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        if not np.isfinite(numpy_helper.to_array(tensor)).all():
            raise BackboneError(
                f"the weights {tensor.name!r} are infinite or not numbers; the checkpoint is "
                "broken, or its training diverged"
            )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
