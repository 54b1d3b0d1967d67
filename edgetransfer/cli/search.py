"""``edgetransfer search``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.photos_given import photos_given
from edgetransfer.cli.terminal import print_json, print_line, show_log, shown_progress
from edgetransfer.settings.search import SearchSettings

if TYPE_CHECKING:
    from edgetransfer.reports.search import SearchRecord


def search(
    settings: SearchSettings,
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE…", help="Files or folders; - reads one image from stdin."),
    ],
    *,
    json_output: JsonOption = False,
) -> None:
    """Find the photos of a data set that are most like given ones.

    Examples:

    edgetransfer search features photo.jpg

    edgetransfer search run photo.jpg --top 20

    edgetransfer search features folder/ --json
    """
    from edgetransfer.features.given import samples_of
    from edgetransfer.jobs.searching import search as run

    show_log(json_output)
    photos = samples_of(photos_given(images))
    with shown_progress() as progress:
        report = run(settings, photos, progress=progress)
    if json_output:
        print_json(report)
    else:
        _show(report)


def _show(report: SearchRecord) -> None:
    for query in report["queries"]:
        print_line(f"{query['id']}")
        for near in query["nearest"]:
            print_line(f"  {near['similarity']:.3f}  {near['label']}  {near['id']}")
