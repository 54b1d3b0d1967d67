"""What people see: progress, log lines and tables on stderr, JSON on stdout."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgetransfer.types import Progress

NOT_IMAGES = (
    *("choosing", "downloading", "pruning", "correcting", "trying", "timing", "aiming"),
    *("measuring", "refining"),
)


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """A `Progress` that draws a bar with rate and time left; quiet where stderr is no terminal."""
    if not sys.stderr.isatty():
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

    with Bars(
        TextColumn("{task.description:<20}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:>12}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
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
    root.setLevel(logging.WARNING if json_output else logging.INFO)


class _PlainLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = harmless(record.getMessage())
        return f"warning: {text}" if record.levelno >= logging.WARNING else text


def say(text: str = "") -> None:
    """One line for people, to stderr."""
    print(harmless(text), file=sys.stderr)


def harmless(text: str) -> str:
    """Text from files that may be anybody's: what would move a terminal's cursor is spelled out."""
    return "".join(c if c in "\n\t" or not _is_control(c) else f"\\x{ord(c):02x}" for c in text)


def _is_control(character: str) -> bool:
    return character < " " or "\x7f" <= character <= "\x9f"


def print_json(value: Any) -> None:
    """One JSON object to stdout; nan becomes null."""
    from edgetransfer.reports.json_values import finite

    text = json.dumps(finite(value), ensure_ascii=False)  # which leaves the upper controls
    print("".join(f"\\u{ord(c):04x}" if _is_control(c) else c for c in text))
