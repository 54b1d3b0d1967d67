"""``edgetransfer serve``."""

from __future__ import annotations

from edgetransfer.cli.options import JsonOption, QuietOption
from edgetransfer.cli.serving import serve_in_terminal
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

    serve_in_terminal(
        run_server,
        settings,
        json_output=json_output,
        quiet=quiet,
        summary=lambda report: (
            f"answered   {report['requests']:,} requests, {report['photos']:,} photos"
        ),
    )
