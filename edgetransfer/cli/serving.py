"""Options of the commands that listen, and how they say where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeAlias

import typer

from edgetransfer.cli.terminal import print_json, say

_ADDRESS = "Address"

HostOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--host",
        metavar="ADDRESS",
        help="To listen on; others than this machine's own need a --token.",
        rich_help_panel=_ADDRESS,
    ),
]
PortOption: TypeAlias = Annotated[
    int,
    typer.Option(
        "--port",
        metavar="PORT",
        min=0,
        max=65535,
        help="To listen on; 0 takes any that is free.",
        rich_help_panel=_ADDRESS,
    ),
]
TokenOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="TEXT",
        envvar="EDGETRANSFER_TOKEN",
        help="That clients must show; needed beyond loopback.",
        rich_help_panel=_ADDRESS,
    ),
]
HostNameOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--host-name",
        metavar="NAME",
        help="That the server answers to, beside its own; may be repeated.",
        rich_help_panel=_ADDRESS,
    ),
]
MaxBodyOption: TypeAlias = Annotated[
    str,
    typer.Option("--max-body", metavar="BYTES", help="Of one request.", rich_help_panel=_ADDRESS),
]


def said_where(*, json_output: bool) -> Callable[[str], None]:
    """Tells people, or a program, the address once it answers."""

    def started(address: str) -> None:
        if json_output:
            print_json({"address": address})
        else:
            say(f"open {address} in a browser; Ctrl-C ends it")

    return started
