"""What people see: results on stdout, as text or JSON; progress, remarks and warnings on stderr."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edgetransfer.confidential import without_secrets
from edgetransfer.names import json_text, readable

if TYPE_CHECKING:
    from edgetransfer.types import Progress

_UPPER_CONTROLS = re.compile(r"[\x7f-\x9f]")
NOT_IMAGES = (
    *("choosing", "downloading", "pruning", "correcting", "trying", "timing", "aiming"),
    *("measuring", "refining"),
)


_quiet = False


def be_quiet(wanted: bool) -> None:
    """Whether people see results and warnings alone: no progress, and no other log."""
    global _quiet
    _quiet = wanted


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """A `Progress` that draws a bar with rate and time left; quiet where stderr is no terminal."""
    if _quiet or not sys.stderr.isatty():
        yield lambda _stage, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import (
        Progress as Bars,
    )

    drawn = Bars(
        TextColumn("{task.description:<20}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:>12}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with drawn as bars, logs_above():
        current: dict[str, Any] = {"stage": None, "task": None}

        def show(stage: str, done: int, total: int) -> None:
            if stage != current["stage"]:
                if current["task"] is not None:
                    bars.remove_task(current["task"])
                current["stage"] = stage
                current["task"] = bars.add_task(stage, total=total, completed=done, rate="")
            speed = bars.tasks[-1].speed
            unit = "/s" if stage.startswith(NOT_IMAGES) else " images/s"
            bars.update(
                current["task"],
                completed=done,
                total=total,
                rate=f"{speed:,.0f}{unit}" if speed else "",
            )

        yield show


def show_log(json_output: bool) -> None:
    """Send the package's log to stderr, one plain line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PlainLines())
    warnings.filterwarnings("ignore", module="PIL")  # its remarks on odd metadata
    root = logging.getLogger("edgetransfer")
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(logging.WARNING if json_output or _quiet else logging.INFO)


@contextmanager
def logs_above() -> Iterator[None]:
    """Let the log appear above what is drawn, by what stands for stderr while it is."""
    handlers = [
        handler
        for handler in logging.getLogger("edgetransfer").handlers
        if isinstance(handler, logging.StreamHandler)
    ]
    before = [handler.setStream(sys.stderr) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            if stream is not None:
                handler.setStream(stream)


class _PlainLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = without_secrets(readable(record.getMessage()))
        return f"warning: {text}" if record.levelno >= logging.WARNING else text


def say(text: str) -> None:
    """A remark on what is under way, a line to stderr."""
    print(without_secrets(readable(text)), file=sys.stderr)


def print_line(text: str) -> None:
    """One line of a result that is no JSON, to stdout."""
    print(without_secrets(readable(text)).replace("\n", "\\n"), flush=True)


def print_json(value: Any) -> None:
    """One JSON object to stdout; nan becomes null, and what stdout cannot encode is escaped."""
    from edgetransfer.runs.json_values import finite

    value = finite(value)
    # What JSON may leave as it is, a terminal takes for commands.
    text = _UPPER_CONTROLS.sub(lambda c: f"\\u{ord(c[0]):04x}", json_text(value))
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value)
    # Whoever reads a pipe waits for this line: an acknowledgement must not lie in a buffer.
    print(text, flush=True)


def never_fail_to_write() -> None:
    """Let stdout and stderr escape what the terminal's encoding does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
