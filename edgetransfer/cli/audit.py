"""``edgetransfer audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgetransfer.cli.options import (
    CacheOption,
    EngineOption,
    JsonOption,
    MaxBadOption,
    ThreadsOption,
)
from edgetransfer.cli.terminal import print_json, print_line, say, show_log, shown_progress

SHOWN = 10


def audit(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|DATA",
            help="A run folder, or labelled images: class folders or a manifest.",
        ),
    ],
    manifest: Annotated[
        Path | None,
        typer.Option(
            "--manifest",
            metavar="FILE.csv",
            help="Write every photo with what is doubtful about it; train takes it as --data.",
        ),
    ] = None,
    sort_into: Annotated[
        Path | None,
        typer.Option("--sort-into", metavar="DIR", help="Copy the doubtful photos into folders."),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            metavar="FILE|NAME",
            help="What looks at the photos; of a run: where its own is now. Default: the run's, "
            "or the one that train takes.",
        ),
    ] = None,
    max_bad: MaxBadOption = 0.05,
    engine: EngineOption = "auto",
    threads: ThreadsOption = None,
    cache_dir: CacheOption = None,
    json_output: JsonOption = False,
) -> None:
    """Find labels that are probably wrong, photos that are there twice, and outliers.

    Nothing is trained, and no photo is changed.

    Examples:

    edgetransfer audit photos

    edgetransfer audit run --manifest looked-at.csv --sort-into doubtful
    """
    from edgetransfer.jobs.audit import AuditSettings
    from edgetransfer.jobs.audit import audit as audited

    settings = AuditSettings(
        source=source,
        manifest=manifest,
        sort_into=sort_into,
        backbone=backbone,
        engine=engine,
        threads=threads,
        cache_dir=cache_dir,
        max_bad=max_bad,
    )
    show_log(json_output)
    with shown_progress() as progress:
        result = audited(settings, progress=progress)
    if json_output:
        print_json(result)
        return
    _show(result)
    if manifest is not None:
        say(f"manifest    {manifest}")
    if sort_into is not None:
        say(f"sorted      {result['sorted']} photos into {sort_into}")


def _show(result: dict[str, Any]) -> None:
    photos = sum(result["photos"].values())
    skipped = len(result["skipped"])
    say(f"looked at   {photos} photos of {result['classes']} classes, {skipped} skipped")
    wrong, twice, far = (result[name] for name in ("wrong_labels", "duplicates", "outliers"))
    print_line(f"{len(wrong)} labels are probably wrong")
    for row in wrong[:SHOWN]:
        print_line(
            f"  {row['id']}: {row['label']} ({row['confidence']:.1%}), rather {row['suggested']}"
        )
    _more(len(wrong))
    across = sum(len(set(row["splits"])) > 1 for row in twice)
    print_line(f"{len(twice)} pairs of photos show the same picture, {across} across splits")
    for row in twice[:SHOWN]:
        print_line(f"  {' and '.join(row['ids'])}{', mirrored' if row['mirrored'] else ''}")
    _more(len(twice))
    print_line(f"{len(far)} photos are like no other of their class")
    for row in far[:SHOWN]:
        print_line(f"  {row['id']}")
    _more(len(far))


def _more(number: int) -> None:
    if number > SHOWN:
        print_line(f"  and {number - SHOWN} more; --manifest or --json has them all")
