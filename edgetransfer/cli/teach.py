"""``edgetransfer teach``."""

from __future__ import annotations

from edgetransfer.cli.options import JsonOption, QuietOption
from edgetransfer.cli.serving import said_where
from edgetransfer.cli.stopping import graceful
from edgetransfer.cli.terminal import print_json, say, show_log
from edgetransfer.settings.teach import TeachSettings


def teach(
    settings: TeachSettings, *, json_output: JsonOption = False, quiet: QuietOption = False
) -> None:
    """Open a page in the browser where a classifier is taught, photo by photo.

    Each photo counts at once, and is on disk when it is shown. The same command goes on.

    Examples:

    edgetransfer teach flowers

    edgetransfer predict flowers photo.jpg
    """
    from edgetransfer.teach import run_teaching

    show_log(json_output or quiet)
    with graceful() as stopping:
        report = run_teaching(
            settings, stop=stopping.event, started=said_where(json_output=json_output)
        )
    if json_output:
        print_json(report)
    elif not quiet:
        say(f"saved in   {settings.run}: {report['accepted']} photos; the same command goes on")
    if stopping.interrupted:
        raise KeyboardInterrupt
