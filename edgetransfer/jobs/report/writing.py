"""A comparison as a page."""

from __future__ import annotations

from pathlib import Path

from edgetransfer.jobs.report.comparing import ComparedRun, Comparison
from edgetransfer.pages import ComparePage, CompareRow, check_page, compare_page, write_page_file


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write the page; a page that is there is replaced.

    Raises
    ------
    TakenError
        If the name is a folder's.
    EdgeTransferError
        If it cannot be written.
    """
    check_page(path)
    page = compare_page(
        ComparePage(
            method=comparison.method,
            classes=comparison.classes,
            rows=[_row(run) for run in comparison.runs],
        )
    )
    write_page_file(path, page)


def _row(run: ComparedRun) -> CompareRow:
    facts, test = run.facts, run.against_first
    return CompareRow(
        name=run.name,
        facts={
            "backbone": str(facts["backbone"]),
            "zeros": f"{facts['sparsity']:.1%}",
            "engine": str(facts["engine"]),
            "solver": str(facts["solver"]),
            "epochs": str(facts["epochs"]),
            "seconds": f"{facts['seconds']:,.1f}",
        },
        accuracy=run.accuracy,
        interval=run.interval,
        difference=""
        if test is None
        else f"alone right on {test.only_second}, the first on {test.only_first}; p {test.p:.3g}",
    )
