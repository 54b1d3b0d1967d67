"""Backbones compared with a dense one, and with one another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetransfer.api.calling import settings_by_name, taken
from edgetransfer.api.reports import BenchmarkReport, Report
from edgetransfer.settings.analyse import AnalysisSettings
from edgetransfer.settings.benchmark import BenchmarkSettings
from edgetransfer.settings.compare import ComparisonSettings

if TYPE_CHECKING:
    from edgetransfer.types import Progress


@settings_by_name(BenchmarkSettings)
def run_benchmark(
    settings: BenchmarkSettings | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    **given: Any,
) -> BenchmarkReport:
    """Compare backbones with a dense one: seconds an epoch and accuracy, on this machine.

    ``OUT/report.html`` shows it. A benchmark that was interrupted goes on when it is called again.

    Parameters
    ----------
    settings
        What to compare on what; or the settings below by name.
    overwrite
        Start anew in an existing benchmark's folder.
    progress
        Told (what is being done, how much is done, of how much).

    Raises
    ------
    EdgeTransferError
        If a backbone or the data cannot be used, or the folder holds something else.

    Examples
    --------
    >>> import edgetransfer
    >>> edgetransfer.run_benchmark(data="photos", out="bench", baseline="small.onnx", epochs=1)
    BenchmarkReport(epochs=1, seeds=1, rows=<1 items>)
    """
    from edgetransfer.api.progress import told
    from edgetransfer.benchmark import run_benchmark as measure

    asked = taken(BenchmarkSettings, settings, given)
    return BenchmarkReport(measure(asked, overwrite=overwrite, progress=told(progress)))


@settings_by_name(ComparisonSettings)
def compare_backbones(
    settings: ComparisonSettings | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    **given: Any,
) -> Report:
    """Find out which backbone transfers best to some data sets, and how sure that is.

    ``OUT/report.html`` shows it. Runs that are there are taken; one that was interrupted goes on.

    Parameters
    ----------
    settings
        What to compare on what; or the settings below by name.
    overwrite
        Delete the runs that are in the folder, and begin anew.
    progress
        Told (what is being done, how much is done, of how much).

    Raises
    ------
    EdgeTransferError
        If a backbone, a data set, the folder or a training cannot be used.

    Examples
    --------
    >>> import edgetransfer
    >>> report = edgetransfer.compare_backbones(
    ...     baseline="small.onnx", backbones="tinyresnet-90", data="photos", out="compared"
    ... )
    >>> [result["backbone"] for result in report["results"]]
    ['small', 'tinyresnet-90']
    """
    from edgetransfer.api.progress import told
    from edgetransfer.compare import compare

    asked = taken(ComparisonSettings, settings, given)
    return Report(compare(asked, overwrite=overwrite, progress=told(progress)))


@settings_by_name(AnalysisSettings)
def analyse_networks(
    settings: AnalysisSettings | None = None, *, progress: Progress | None = None, **given: Any
) -> Report:
    """Show how networks were trained, how alike they answer, and how they take pruning.

    Parameters
    ----------
    settings
        Which networks, and on what; or the settings below by name.
    progress
        Told (what is being done, how much is done, of how much).

    Raises
    ------
    EdgeTransferError
        If a network, the photos, the engine or a training's report cannot be used.

    Examples
    --------
    >>> import edgetransfer
    >>> report = edgetransfer.analyse_networks(
    ...     networks=["small.onnx", "tinyresnet-90"], data="photos"
    ... )
    >>> 0 <= report["agreement"][0]["agreement"] <= 1
    True
    """
    from edgetransfer.api.progress import told
    from edgetransfer.jobs.analysing import analyse

    asked = taken(AnalysisSettings, settings, given)
    return Report(analyse(asked, progress=told(progress)))
