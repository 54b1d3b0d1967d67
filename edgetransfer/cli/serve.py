"""``edgetransfer serve``."""

from __future__ import annotations

from edgetransfer.cli.options import JsonOption, QuietOption
from edgetransfer.cli.serving import said_where
from edgetransfer.cli.stopping import graceful
from edgetransfer.cli.terminal import print_json, say, show_log
from edgetransfer.settings.serve import ServeSettings


def serve(
    settings: ServeSettings, *, json_output: JsonOption = False, quiet: QuietOption = False
) -> None:
    """Answer other programs, and a page in the browser, what photos show.

    What the run learns meanwhile is taken up. SIGTERM or Ctrl-C answers what is in hand first.

    Examples:

    edgetransfer serve run

    edgetransfer serve pets.onnx --port 9000
    """
    from edgetransfer.serve import run_server

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
