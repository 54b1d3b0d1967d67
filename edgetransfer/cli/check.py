"""``edgetransfer check``: whether a stream's run is whole."""

from __future__ import annotations

from dataclasses import asdict

from edgetransfer.cli.options import JsonOption, StreamRun
from edgetransfer.cli.terminal import print_json, print_line, show_log
from edgetransfer.errors import DataError


def check(
    run: StreamRun,
    json_output: JsonOption = False,
) -> None:
    """Look whether all of a stream's run is whole, and change nothing.

    It ends in 0 if everything is as it was written, and in 3 if something is damaged.

    Examples:

    edgetransfer check run
    """
    from edgetransfer.stream import check as check_run

    show_log(json_output)
    result = check_run(run)
    if json_output:
        print_json(asdict(result))
    for finding in result.findings:
        print_line(finding)
    if result.findings:
        raise DataError(
            f"{run}: {len(result.findings)} findings; {result.accepted} samples are whole"
        )
    if not json_output:
        now = "; it is running, so its head was not compared" if result.running else ""
        print_line(f"{run} is whole: {result.accepted} samples{now}")
