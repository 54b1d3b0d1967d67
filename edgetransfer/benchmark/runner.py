"""The benchmark itself: what is wrong with the call first, then turns, profiles and the report."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from edgetransfer.benchmark.child import measure_turn
from edgetransfer.benchmark.contestants import Contestant, open_files, with_synthetic
from edgetransfer.benchmark.data_sets import DataSet, open_data, read_through
from edgetransfer.benchmark.doubts import BUSY, UNTELLABLE
from edgetransfer.benchmark.families import with_known_families
from edgetransfer.benchmark.folder import PAGE, REPORT, RESULTS, SYNTHETIC, TABLE, BenchmarkFolder
from edgetransfer.benchmark.job import BenchmarkJob, Measure
from edgetransfer.benchmark.machine_state import busy_share, machine_identity, machine_state
from edgetransfer.benchmark.profiling import measure_profile, profiles_of
from edgetransfer.benchmark.provenance import benchmark_command, code_provenance
from edgetransfer.benchmark.repeating import compared_with, read_report, repeated
from edgetransfer.benchmark.rows import error_increases, rows_of
from edgetransfer.charts.benchmark_page import benchmark_page
from edgetransfer.charts.benchmark_plots import benchmark_plots, can_plot
from edgetransfer.charts.benchmark_tables import results_csv, results_tex
from edgetransfer.runs.owning import owned
from edgetransfer.settings.benchmark import BenchmarkSettings
from edgetransfer.settings.recipe import recipe_record, warning_of
from edgetransfer.train.inputs import stamp_of
from edgetransfer.types import Progress, no_progress

logger = logging.getLogger(__name__)

DENSE = 0.3  # share of zeros that a dense backbone may have by chance or by quantisation


def run_benchmark(
    settings: BenchmarkSettings,
    *,
    overwrite: bool = False,
    progress: Progress = no_progress,
    measure: Measure = measure_turn,
    profile: Measure = measure_profile,
) -> dict[str, Any]:
    """Measure what is not measured yet, and write the report; returns it.

    Everything that can be wrong with the call is found before anything is measured. A benchmark
    that was interrupted goes on when it is called again.

    Parameters
    ----------
    measure
        Takes one turn; in a process of its own if nothing else is given.
    profile
        Likewise measures an engine alone.

    Raises
    ------
    EdgeTransferError
        If a backbone or the data cannot be used, or the folder holds something else. A backbone
        that an engine cannot take is no error, but a row with a reason.
    """
    theirs = None
    if settings.from_report is not None:
        theirs = read_report(settings.from_report)
        settings = repeated(settings, theirs)
    settings = with_known_families(settings)
    folder = BenchmarkFolder(settings.out)
    folder.check()
    files = open_files(settings)
    data = [open_data(settings, index) for index in range(len(settings.data))]
    if files and files[0].backbone.sparsity > DENSE:
        logger.warning(
            "%s: the baseline is itself sparse: %.0f %% of its weights are zero",
            *(files[0].name, 100 * files[0].backbone.sparsity),
        )
    with owned(settings.out, "benchmark"):
        report = _measured(
            settings, folder, files, data, overwrite, _Measures(measure, profile, progress)
        )
        if theirs is not None:
            report["repeats"] = compared_with(report, theirs)
        _write(folder, report)
    return report


@dataclass(frozen=True)
class _Measures:
    """What measures, and who is told of it."""

    turn: Measure
    profile: Measure
    progress: Progress


def _measured(
    settings: BenchmarkSettings,
    folder: BenchmarkFolder,
    files: Sequence[Contestant],
    data: Sequence[DataSet],
    overwrite: bool,
    measures: _Measures,
) -> dict[str, Any]:
    machine = machine_state()
    folder.begin(
        {
            **settings.to_config(),
            "sha256": [contestant.backbone.sha256 for contestant in files],
            "content": [d.splits.fingerprint for d in data],
            "photos": [stamp_of(d.splits) for d in data],
            **machine_identity(machine),
        },
        overwrite=overwrite,
    )
    departed = settings.training("", settings.data[0], "auto", seed=0).departures
    for text in warning_of(departed):
        logger.warning("%s", text)
    contestants = with_synthetic(files, settings, folder.file(SYNTHETIC))
    job = BenchmarkJob(settings, folder, contestants, data, measures.progress, measures.turn)
    fresh = not job.is_measured
    if fresh:
        _warn_of_a_busy_machine()
    contents = {d.name: read_through(folder, d, measures.progress, again=fresh) for d in data}
    job.measure()
    rows = rows_of(job.cells)
    profiles = profiles_of(job, measures.profile) if settings.profile else []
    _warn(rows)
    return {
        "machine": machine,
        "epochs": settings.n_epochs,
        "seeds": settings.seeds,
        "batch_size": settings.batch_size,
        "recipe": recipe_record(settings.recipe, departed),
        "threads": settings.threads,
        "data": [d.description(settings) for d in data],
        "backbones": [contestant.description for contestant in contestants],
        "rows": rows,
        "relative_error_increase": error_increases(rows),
        "settings": folder.settings,
        "profiles": profiles,
        "provenance": {
            "command": benchmark_command(settings),
            "started": min((e["at"] for row in rows for e in row["epochs"]), default=None),
            "code": code_provenance(),
            "data": {
                name: {key: value for key, value in found.items() if key != "stamp"}
                for name, found in contents.items()
            },
        },
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _write(folder: BenchmarkFolder, report: dict[str, Any]) -> None:
    folder.write_json(REPORT, report)
    folder.write(PAGE, benchmark_page(report).encode())
    folder.write(RESULTS, results_csv(report).encode("utf-8", "backslashreplace"))
    folder.write(TABLE, results_tex(report).encode("utf-8", "backslashreplace"))
    if not can_plot():
        logger.info("no plots: they need matplotlib (pip install 'edgetransfer[report]')")
        return
    for name, content in benchmark_plots(report).items():
        folder.write(name, content)


def _warn_of_a_busy_machine() -> None:
    share = busy_share()
    if share > BUSY:
        logger.warning(
            "other processes take %.0f %% of the processor now: close them, for above %.0f %% no "
            "speedup is told",
            *(100 * share, 100 * UNTELLABLE),
        )


def _warn(rows: Sequence[dict[str, Any]]) -> None:
    kinds = {doubt["kind"] for row in rows for doubt in row["doubts"]}
    if "disturbed" in kinds:
        logger.warning(
            "other processes disturbed epochs: the same command, on a quiet machine, measures "
            "those rounds again"
        )
    skipped = max((row["skipped"] for row in rows if row["reason"] is None), default=0)
    if skipped:
        logger.warning("%d images of a data set could not be used", skipped)
