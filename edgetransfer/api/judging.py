"""Data and runs judged: what is doubtful about photos, and how runs compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetransfer.api.calling import settings_by_name, taken
from edgetransfer.api.reports import Report
from edgetransfer.settings.audit import AuditSettings

if TYPE_CHECKING:
    from edgetransfer.jobs.report import Comparison
    from edgetransfer.types import Progress


@settings_by_name(AuditSettings)
def audit_photos(
    settings: AuditSettings | None = None, *, progress: Progress | None = None, **given: Any
) -> Report:
    """Find labels that are probably wrong, photos that are there twice, and outliers.

    Nothing is trained, and no photo is changed.

    Parameters
    ----------
    settings
        What to look through, and where to put what is found; or the settings below by name.
    progress
        Told (what is being done, how much is done, of how much).

    Raises
    ------
    EdgeTransferError
        If the photos, the run or the backbone cannot be used.

    Examples
    --------
    >>> import edgetransfer
    >>> found = edgetransfer.audit_photos(source="photos", backbone="small.onnx")
    >>> found["classes"], found["duplicates"]
    (3, [])
    """
    from edgetransfer.api.progress import told
    from edgetransfer.jobs.audit import audit

    return Report(audit(taken(AuditSettings, settings, given), progress=told(progress)))


def write_page(
    run: str | Path,
    *,
    backbone: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write a run's ``report.html`` anew: accuracy, confusion, mistakes, a map of the photos.

    Parameters
    ----------
    run
        A folder of `train_linear` or `finetune_backbone`.
    backbone
        Where the run's backbone is now, if it was moved.

    Returns
    -------
    The page.

    Raises
    ------
    EdgeTransferError
        If the run is not finished, or its backbone or photos are gone.

    Examples
    --------
    >>> import edgetransfer
    >>> edgetransfer.write_page("run").name
    'report.html'
    """
    from edgetransfer.api.progress import told
    from edgetransfer.runs import RunFolder
    from edgetransfer.runs.owning import owned
    from edgetransfer.train.finished_run import page_anew

    RunFolder.open(Path(run))  # what is none gets no lock
    with owned(Path(run), "report"):
        return page_anew(Path(run), backbone=backbone, threads=threads, progress=told(progress))


def compare_runs(
    runs: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Set runs side by side, on the same photos.

    Parameters
    ----------
    runs
        Folders of `train_linear` or `finetune_backbone`; the others are compared with the first.
    out
        A page to write.

    Raises
    ------
    EdgeTransferError
        If a run cannot be read, or runs have no photos in common.

    Examples
    --------
    >>> import edgetransfer
    >>> [run.name for run in edgetransfer.compare_runs(["run", "other"]).runs]
    ['run', 'other']
    """
    from edgetransfer.api.progress import told
    from edgetransfer.jobs.report import compared, write_comparison

    found = compared([Path(run) for run in runs], threads=threads, progress=told(progress))
    if out is not None:
        write_comparison(found, Path(out))
    return found
