"""The machine, and a first look at what it does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgetransfer.api.reports import Report

if TYPE_CHECKING:
    from edgetransfer.types import Progress


def describe_machine() -> Report:
    """Versions, the processor, and which engine runs here and why; for bug reports too.

    Examples
    --------
    >>> import edgetransfer
    >>> edgetransfer.describe_machine()["cpu"]["cores"] >= 1
    True
    """
    from edgetransfer.jobs.doctor import describe_machine as describe

    return Report(describe())


def run_demo(
    out: str | Path = "edgetransfer-demo",
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Train on handwritten digits with the bundled sparse backbone, offline.

    Parameters
    ----------
    out
        Where images and runs go.
    threads
        CPU threads; all cores if None.

    Examples
    --------
    >>> import edgetransfer
    >>> edgetransfer.run_demo("demo")["cached"]["mean_per_class"] > 0.9
    True
    """
    from edgetransfer.api.progress import told
    from edgetransfer.jobs.demo import run_demo as run

    return Report(run(Path(out), threads=threads, progress=told(progress)))
