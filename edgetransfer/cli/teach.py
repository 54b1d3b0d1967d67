"""``edgetransfer teach``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgetransfer.cli.options import (
    BackboneOption,
    EngineOption,
    JsonOption,
    QuietOption,
    ThreadsOption,
    parse_bytes,
)
from edgetransfer.cli.serving import (
    HostNameOption,
    HostOption,
    MaxBodyOption,
    PortOption,
    TokenOption,
    said_where,
)
from edgetransfer.cli.stopping import graceful
from edgetransfer.cli.terminal import print_json, say, show_log
from edgetransfer.defaults import DEFAULT_BACKBONE


def teach(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="The run folder, new or to go on with."),
    ],
    backbone: BackboneOption = DEFAULT_BACKBONE,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    token: TokenOption = None,
    host_name: HostNameOption = None,
    max_body: MaxBodyOption = "32M",
    batch_size: Annotated[
        int,
        typer.Option(
            "--batch-size", metavar="N", min=1, help="Photos that go through the engine together."
        ),
    ] = 8,
    engine: EngineOption = "auto",
    threads: ThreadsOption = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Open a page in the browser where a classifier is taught, photo by photo.

    Each photo counts at once, and is on disk when it is shown. The same command goes on.

    Examples:

    edgetransfer teach flowers

    edgetransfer predict flowers photo.jpg
    """
    from edgetransfer.teach import TeachSettings, run_teaching
    from edgetransfer.web import AddressSettings

    settings = TeachSettings(
        backbone=backbone,
        run=run,
        address=AddressSettings(
            host=host,
            port=port,
            token=token,
            host_names=tuple(host_name or ()),
            max_body=parse_bytes("--max-body", max_body),
        ),
        engine=engine,
        threads=threads,
        batch_size=batch_size,
    )
    show_log(json_output or quiet)
    with graceful() as stopping:
        report = run_teaching(
            settings, stop=stopping.event, started=said_where(json_output=json_output)
        )
    if json_output:
        print_json(report)
    elif not quiet:
        say(f"saved in   {run}: {report['accepted']} photos; the same command goes on")
    if stopping.interrupted:
        raise KeyboardInterrupt
