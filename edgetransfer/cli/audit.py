"""``edgetransfer audit``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.terminal import print_json, print_line, show_log, shown_progress
from edgetransfer.settings.audit import AuditSettings

SHOWN = 10

if TYPE_CHECKING:
    from edgetransfer.reports.audit import AuditRecord


def audit(settings: AuditSettings, *, json_output: JsonOption = False) -> None:
    """Find labels that are probably wrong, photos that are there twice, and outliers.

    Nothing is trained, and no photo is changed.

    Examples:

    edgetransfer audit photos

    edgetransfer audit run --manifest looked-at.csv --sort-into doubtful
    """
    from edgetransfer.jobs.audit import audit as audited

    show_log(json_output)
    with shown_progress() as progress:
        result = audited(settings, progress=progress)
    if json_output:
        print_json(result)
        return
    _show(result)
    if settings.manifest is not None:
        print_line(f"manifest    {settings.manifest}")
    if settings.sort_into is not None:
        print_line(f"sorted      {result['sorted']} photos into {settings.sort_into}")


def _show(result: AuditRecord) -> None:
    photos = sum(result["photos"].values())
    skipped = len(result["skipped"])
    print_line(f"looked at   {photos} photos of {result['classes']} classes, {skipped} skipped")
    wrong, twice, far = result["wrong_labels"], result["duplicates"], result["outliers"]
    print_line(f"{len(wrong)} labels are probably wrong")
    for row in wrong[:SHOWN]:
        print_line(
            f"  {row['id']}: {row['label']} ({row['confidence']:.1%}), rather {row['suggested']}"
        )
    _more(len(wrong))
    across = sum(len(set(pair["splits"])) > 1 for pair in twice)
    print_line(f"{len(twice)} pairs of photos show the same picture, {across} across splits")
    for pair in twice[:SHOWN]:
        turned = f", turned by {90 * pair['quarter_turns']}°" if pair["quarter_turns"] else ""
        mirrored = ", mirrored" if pair["mirrored"] else ""
        part = ", one is a part of the other" if pair["part"] else ""
        print_line(f"  {' and '.join(pair['ids'])}{mirrored}{turned}{part}")
    _more(len(twice))
    print_line(f"{len(far)} photos are like no other of their class")
    for outlier in far[:SHOWN]:
        print_line(f"  {outlier['id']}")
    _more(len(far))


def _more(number: int) -> None:
    if number > SHOWN:
        print_line(f"  and {number - SHOWN} more; --manifest or --json has them all")
