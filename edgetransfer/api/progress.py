"""Progress where a caller gave none: in a notebook a line that renews itself, elsewhere nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from html import escape
from time import monotonic
from typing import Any

from edgetransfer.types import Progress, no_progress

EVERY = 0.25  # seconds between two updates of one stage


def told(progress: Progress | None) -> Progress:
    """The caller's own ``progress``; if None, what is shown where the caller is."""
    if progress is not None:
        return progress
    display = _notebook_display()
    return no_progress if display is None else NotebookProgress(display)


def _notebook_display() -> Callable[..., Any] | None:
    """IPython's ``display`` if this is the kernel of a notebook; nothing is imported for it."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import display  # type: ignore[import-not-found,unused-ignore]

    found: Callable[..., Any] = display
    return found


class NotebookProgress:
    """A `Progress` that is one output of a notebook's cell, renewed a few times a second.

    Parameters
    ----------
    display
        IPython's: called with something that shows itself, it returns a handle with ``update``.
    """

    def __init__(self, display: Callable[..., Any]) -> None:
        self._display = display
        self._handle: Any = None
        self._stage = ""
        self._began = 0.0
        self._first = 0
        self._shown = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show how far a stage is."""
        now = monotonic()
        if stage != self._stage:
            self._stage, self._began, self._first = stage, now, done
        elif now - self._shown < EVERY and done < total:
            return
        self._shown = now
        seconds = now - self._began
        rate = (done - self._first) / seconds if seconds > 0 else 0.0
        line = ProgressLine(stage, done, total, rate)
        if self._handle is None:
            self._handle = self._display(line, display_id=True)
        else:
            self._handle.update(line)


class ProgressLine:
    """One state of a progress, as text or as HTML."""

    def __init__(self, stage: str, done: int, total: int, rate: float) -> None:
        self.stage, self.done, self.total, self.rate = stage, done, total, rate

    def __repr__(self) -> str:
        text = f"{self.stage[:60]}: {self.done:,} of {self.total:,}"
        if self.rate > 0:
            text += f", {self.rate:,.3g}/s"
            if self.done < self.total:
                text += f", {_duration((self.total - self.done) / self.rate)} left"
        return text

    def _repr_html_(self) -> str:
        bar = f'<progress value="{self.done}" max="{max(self.total, 1)}"></progress>'
        return f"{bar} {escape(repr(self))}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
