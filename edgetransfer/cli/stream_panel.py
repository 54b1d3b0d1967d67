"""The live panel of a stream, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from edgetransfer.cli.terminal import logs_above, say

if TYPE_CHECKING:
    from rich.panel import Panel

    from edgetransfer.stream import Snapshot

EVERY = 1.0  # seconds between lines where stderr is no terminal
QUIET = 30.0  # and where nothing has changed
MOST_CLASSES = 5


@contextmanager
def shown_stream(source: str) -> Iterator[Callable[[Snapshot], None]]:
    """Draw snapshots as one panel; lines for programs where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.live import Live

    drawn = Live(
        console=Console(stderr=True), refresh_per_second=4, transient=True, auto_refresh=False
    )
    with drawn as live, logs_above():

        def draw(snapshot: Snapshot) -> None:
            live.update(_panel(source, snapshot), refresh=True)

        yield draw


class _Lines:
    """A line a second of ``name=value``, while something changes; now and then in any case."""

    def __init__(self) -> None:
        self._said = monotonic()
        self._last: dict[str, str] = {}

    def __call__(self, snapshot: Snapshot) -> None:
        since = monotonic() - self._said
        if since < EVERY or not snapshot.report:
            return
        values = measured(snapshot)
        unchanged = {**values, "per_second": ""} == {**self._last, "per_second": ""}
        if unchanged and since < QUIET:
            return
        self._said, self._last = monotonic(), values
        say("stream " + " ".join(f"{name}={value}" for name, value in values.items()))


def measured(snapshot: Snapshot) -> dict[str, str]:
    """What a program wants to know: numbers without units or separators, nothing with a space."""
    report = snapshot.report
    values = {
        "state": "paused" if snapshot.paused else "running",
        "accepted": str(report["accepted"]),
        "learned": str(report["learned"]),
        "refused": str(snapshot.refused),
        "classes": str(report["classes"]),
        "waiting": str(snapshot.queued),
        "per_second": f"{snapshot.per_second:.1f}",
    }
    for name, key in (("top1", "prequential"), ("window_top1", "window")):
        if report[key]["top1"] is not None:
            values[name] = f"{report[key]['top1']:.4f}"
    if snapshot.latency is not None:
        median, high = snapshot.latency
        values |= {"lag_ms": f"{1e3 * median:.0f}", "lag_p99_ms": f"{1e3 * high:.0f}"}
    values["drifts"] = str(report["drift"]["alarms"])
    if "refits" in report:
        values |= {"refits": str(report["refits"]), "adopted": str(report["adopted"])}
    return values


def facts(snapshot: Snapshot) -> list[tuple[str, str]]:
    """What a person wants to know, as name and value."""
    report = snapshot.report
    if not report:
        return [("state", "starting")]
    found = [
        ("state", f"paused: {snapshot.paused}" if snapshot.paused else "running"),
        ("accepted", f"{report['accepted']:,}"),
        ("refused", f"{snapshot.refused:,}"),
        ("classes", str(report["classes"])),
        ("speed", f"{snapshot.per_second:,.0f}/s"),
    ]
    for name, key in (("all", "prequential"), ("window", "window"), ("fading", "fading")):
        score: dict[str, Any] = report[key]
        if score["top1"] is not None:
            value = f"{score['top1']:.1%} top-1, {score['mean_per_class']:.1%} per class"
            found.append((f"accuracy, {name}", value))
    drift = report["drift"]
    if drift["alarms"]:
        found.append(("drift", f"{drift['alarms']} alarms, last at sample {drift['last']:,}"))
    if snapshot.latency is not None:
        median, high = snapshot.latency
        found.append(("lag", f"{1e3 * median:.0f} ms, 99% below {1e3 * high:.0f} ms"))
    found.append(("waiting", str(snapshot.queued)))
    if "refits" in report:
        found.append(("refits", f"{report['refits']}, {report['adopted']} adopted"))
    if "answers" in report:
        found.append(("answers", f"{report['answers']}, after {report['switches']} changes"))
    if report.get("known", report["learned"]) < report["learned"]:
        found.append(("known", f"the last {report['known']:,} of {report['learned']:,} learned"))
    if report.get("relabelled") or report.get("forgotten"):
        corrected = f"{report['relabelled']} relabelled, {report['forgotten']} forgotten"
        found.append(("corrected", corrected))
    counts = sorted(report["class_counts"].items(), key=lambda pair: -pair[1])[:MOST_CLASSES]
    if counts:
        found.append(("largest", "; ".join(f"{name} {count:,}" for name, count in counts)))
    for pair in report["confused"][:1]:
        mistake = f"{pair['class']} taken for {pair['predicted']}, {pair['times']:,} times"
        found.append(("mistaken", mistake))
    return found


def _panel(source: str, snapshot: Snapshot) -> Panel:
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for name, value in facts(snapshot):
        table.add_row(name, Text(value))
    return Panel(table, title=Text(source), expand=False)
