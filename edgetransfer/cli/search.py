"""``edgetransfer search``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetransfer.cli.options import JsonOption, Photos
from edgetransfer.cli.photos_given import photos_given
from edgetransfer.cli.terminal import print_found, print_line, show_log, shown_progress
from edgetransfer.settings.search import SearchSettings

if TYPE_CHECKING:
    from edgetransfer.reports.search import SearchRecord


def search(
    settings: SearchSettings,
    images: Photos,
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
    print_found(report, _show, as_json=json_output)


def _show(report: SearchRecord) -> None:
    for query in report["queries"]:
        print_line(f"{query['id']}")
        for near in query["nearest"]:
            print_line(f"  {near['similarity']:.3f}  {near['label']}  {near['id']}")
