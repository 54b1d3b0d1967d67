"""``edgetransfer serve``."""

from __future__ import annotations

from typing import Annotated

import typer

from edgetransfer.cli.options import (
    EngineOption,
    JsonOption,
    MovedBackbone,
    QuietOption,
    RunArgument,
    ThreadsOption,
    UnknownOption,
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


def serve(
    run: RunArgument,
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
    gather_milliseconds: Annotated[
        float,
        typer.Option(
            "--gather-milliseconds",
            metavar="X",
            min=0,
            max=1000,
            help="How long a photo waits for others to go with it.",
        ),
    ] = 4.0,
    unknown_below: UnknownOption = None,
    backbone: MovedBackbone = None,
    engine: EngineOption = "auto",
    threads: ThreadsOption = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Answer other programs, and a page in the browser, what photos show.

    What the run learns meanwhile is taken up. SIGTERM or Ctrl-C answers what is in hand first.

    Examples:

    edgetransfer serve run

    edgetransfer serve pets.onnx --port 9000

    curl -F photo=@cat.jpg http://127.0.0.1:8000/predict
    """
    from edgetransfer.serve import ServeSettings, run_server
    from edgetransfer.web import AddressSettings

    settings = ServeSettings(
        run=run,
        address=AddressSettings(
            host=host,
            port=port,
            token=token,
            host_names=tuple(host_name or ()),
            max_body=parse_bytes("--max-body", max_body),
        ),
        backbone=backbone,
        engine=engine,
        threads=threads,
        batch_size=batch_size,
        gather_milliseconds=gather_milliseconds,
        unknown_below=unknown_below,
    )
    show_log(json_output or quiet)
    with graceful() as stopping:
        report = run_server(
            settings, stop=stopping.event, started=said_where(json_output=json_output)
        )
    if json_output:
        print_json(report)
    elif not quiet:
        say(f"answered   {report['requests']:,} requests, {report['photos']:,} photos")
    if stopping.interrupted:
        raise KeyboardInterrupt
