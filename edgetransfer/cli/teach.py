"""``edgetransfer teach``."""

from __future__ import annotations

from edgetransfer.cli.options import JsonOption, QuietOption
from edgetransfer.cli.serving import serve_in_terminal
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

    serve_in_terminal(
        run_teaching,
        settings,
        json_output=json_output,
        quiet=quiet,
        summary=lambda report: (
            f"saved in   {settings.run}: {report['accepted']} photos; the same command goes on"
        ),
    )
