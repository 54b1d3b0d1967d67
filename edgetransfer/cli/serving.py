"""Commands that listen: they say where, answer until a signal, and report at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgetransfer.cli.stopping import graceful
from edgetransfer.cli.terminal import print_json, print_line, say, show_log


def serve_in_terminal(
    run: Callable[..., Any],
    settings: Any,
    *,
    json_output: bool,
    quiet: bool,
    summary: Callable[[Any], str],
) -> None:
    """Run a server until a signal; ``summary`` says for people what its report counts."""

    def started(address: str) -> None:
        if json_output:
            print_json({"address": address})
        else:
            say(f"open {address} in a browser; Ctrl-C ends it")

    show_log(json_output or quiet)
    with graceful() as stopping:
        report = run(settings, stop=stopping.event, started=started)
    if json_output:
        print_json(report)
    elif not quiet:
        print_line(summary(report))
    if stopping.interrupted:
        raise KeyboardInterrupt
