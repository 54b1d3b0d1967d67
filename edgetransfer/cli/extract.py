"""``edgetransfer extract``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.terminal import print_json, print_line, show_log, shown_progress
from edgetransfer.settings.extract import Extraction
from edgetransfer.settings.option import Opt

if TYPE_CHECKING:
    from edgetransfer.reports.extract import ExtractionRecord

SHOWN = 5


def extract(
    settings: Extraction,
    *,
    overwrite: Annotated[
        bool, Opt("Delete the tables that are in --out, and make them anew.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Write the features of photos as Parquet tables, on one machine or many.

    A table that is there is not made again: an interrupted call goes on where it stood.

    Examples:

    edgetransfer extract --data photos --out features

    edgetransfer extract --data photos --out features --partition 1/8

    edgetransfer extract --data photos --out features --on ray --threads 1
    """
    from edgetransfer.extract import extract as run

    show_log(json_output)
    with shown_progress() as progress:
        report = run(settings, overwrite=overwrite, progress=progress)
    if json_output:
        print_json(report)
    else:
        _show(report)


def _show(report: ExtractionRecord) -> None:
    made, tables = report["tables_made"], report["tables"]
    print_line(f"features    {report['dimension']} {report['dtype']} of {report['engine']}")
    print_line(
        f"tables      {made} made, {tables - made} were there, of {report['tables_in_all']} in all"
    )
    print_line(f"photos      {report['photos']} of {report['classes']} classes")
    problems = report["problems"]
    if problems:
        print_line(f"{len(problems)} photos have no features:")
        for row in problems[:SHOWN]:
            print_line(f"  {row['id']}: {row['reason']}")
        if len(problems) > SHOWN:
            print_line(f"  and {len(problems) - SHOWN} more; the column problem names them")
    print_line(f"saved in    {report['out']} ({report['bytes'] / 1e6:,.1f} MB)")
