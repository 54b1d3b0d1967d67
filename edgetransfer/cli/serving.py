"""How commands that listen say where."""

from __future__ import annotations

from collections.abc import Callable

from edgetransfer.cli.terminal import print_json, say


def said_where(*, json_output: bool) -> Callable[[str], None]:
    """Tells people, or a program, the address once it answers."""

    def started(address: str) -> None:
        if json_output:
            print_json({"address": address})
        else:
            say(f"open {address} in a browser; Ctrl-C ends it")

    return started
