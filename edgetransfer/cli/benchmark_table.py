"""A benchmark's result as a table on the terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetransfer.cli.terminal import print_line

if TYPE_CHECKING:
    from rich.console import Console

Row = dict[str, Any]
Column = tuple[str, Callable[[Row], str], bool]
"""Heading, cell, and whether it is a number."""

LOG_WIDTH = 120  # columns, where no terminal says how many there are


def show_benchmark(report: dict[str, Any], out: Path) -> None:
    """Write the table, and what is to be known with it, to stdout."""
    from rich.console import Console

    rows = report["rows"]
    console = Console()
    if not console.is_terminal:
        console.width = LOG_WIDTH
    print_rows(rows, console)
    for row in rows:
        if row["reason"] is not None:
            print_line(f"{row['backbone']} in {row['engine']}: {row['reason']}")
        for doubt in row["doubts"]:
            print_line(f"† {row['backbone']} in {row['engine']}: {doubt['says']}")
    for line in _notes(report):
        print_line(line)
    print_line(f"report     {out / 'report.html'}")


def print_rows(rows: list[Row], console: Console) -> None:
    """A table where it fits the width; else a block a row, which loses nothing to any width."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    columns = _columns(rows)
    identify = sum(not numeric for _, _, numeric in columns)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    cells = [
        [escape(value(row)) if not numeric else value(row) for _, value, numeric in columns]
        for row in rows
    ]
    for heading, _, numeric in columns:
        table.add_column(
            heading,
            justify="right" if numeric else "left",
            overflow="fold",
            no_wrap=numeric,
            min_width=None if numeric else 8,
        )
    for row in cells:
        table.add_row(*row)
    # What identifies a row may be folded, to half the width; a number must be whole.
    if _least_width(cells, columns) + 12 * identify <= console.width:
        console.print(table)
        return
    for row in cells:
        console.print()
        for (heading, _, numeric), text in zip(columns, row, strict=True):
            name = heading.replace("\n", " ")
            value = text.replace("\n", " ")
            if numeric:
                console.print(f"  {name}: {value}", overflow="fold", highlight=False)
            else:
                console.print(f"{name}: [bold]{value}[/]", overflow="fold", highlight=False)


def _least_width(cells: list[list[str]], columns: list[Column]) -> int:
    """The width that the numbers need, with their headings and gaps."""
    from rich.text import Text

    width = 2  # the edges
    for at, (heading, _, numeric) in enumerate(columns):
        lines = [heading, *(row[at] for row in cells)]
        if numeric:
            plain = [part for line in lines for part in Text.from_markup(line).plain.split("\n")]
            width += max(map(len, plain))
        width += 2  # the padding, and the line between
    return width


def _columns(rows: list[Row]) -> list[Column]:
    """Heading, cell, and whether it is a number; columns that say nothing are left out."""
    columns: list[Column] = [
        ("backbone", lambda r: r["backbone"] + (" †" if r["doubts"] else ""), False),
        ("zeros", lambda r: f"{r['sparsity']:.1%}", True),
    ]
    several = len({row["engine"] for row in rows}) > 1
    if several:
        columns.append(("engine", lambda r: r["engine"], False))
    if len({row["data"] for row in rows}) > 1:
        columns.append(("data", lambda r: r["data"], False))
    columns += [
        ("s/epoch", lambda r: _interval(r["seconds_per_epoch"], "{:#.3g}"), True),
        ("of dense", lambda r: _interval(r["fraction_of_baseline"], "{:.3f}"), True),
        ("mean", lambda r: _mean(r["fraction_of_baseline"]), True),
    ]
    if any(row["published"] for row in rows):
        columns += [
            ("paper's\nmean", lambda r: _published(r, "epoch", "{:.2f}"), True),
            ("work", lambda r: _published(r, "work_reached", "{:.3f}"), True),
            ("paper's\nwork", lambda r: _published(r, "work", "{:.2f}"), True),
        ]
    if several:
        in_engine = "of dense\nin engine"
        columns.append((in_engine, lambda r: _interval(r["fraction_in_engine"], "{:.3f}"), True))
    columns += [
        ("speedup", _speedup, True),
        ("of floor", lambda r: _plain(r["efficiency"], "{:.3f}"), True),
    ]
    if any(row["top1"] is not None for row in rows):
        columns += [
            ("top-1", lambda r: _accuracy(r, "top1"), True),
            ("by class", lambda r: _accuracy(r, "mean_per_class"), True),
            ("gap", _gap, True),
        ]
    columns.append(("peak MiB", lambda r: _plain(r["peak_memory_bytes"], "{:,.0f}", 2**20), True))
    return columns


def _plain(value: float | None, form: str, unit: float = 1) -> str:
    return "–" if value is None else form.format(value / unit)


def _interval(value: dict[str, float] | None, form: str) -> str:
    if value is None:
        return "–"
    median, low, high = (form.format(value[key]) for key in ("median", "low", "high"))
    return median if low == high else f"{median}\n[dim]{low}–{high}[/]"


def _mean(value: dict[str, float] | None) -> str:
    return "–" if value is None else f"{value['mean']:.3f}"


def _published(row: Row, key: str, form: str) -> str:
    return "–" if row["published"] is None else _plain(row["published"][key], form)


def _accuracy(row: Row, name: str) -> str:
    text = _plain(row[name], "{:.1%}")
    found = row["accuracy"]
    if found is None or found["deviation"] is None or name != row["metric"]:
        return text
    return f"{text}\n[dim]± {100 * found['deviation']:.1f}[/]"


def _gap(row: Row) -> str:
    text, test = _plain(row["accuracy_gap"], "{:+.1%}"), row["accuracy_test"]
    return text if test is None or row["baseline"] else f"{text}\n[dim]p {test['p']:.2g}[/]"


def _speedup(row: Row) -> str:
    if row["speedup"] is None:
        return "withheld" if any(doubt["withholds"] for doubt in row["doubts"]) else "–"
    return f"{row['speedup']:.2f}x\n[dim]of {row['ceiling']:.0f}x[/]"


def _notes(report: dict[str, Any]) -> list[str]:
    from edgetransfer.metrics.conventions import TITLES

    machine, measured = report["machine"], [r for r in report["rows"] if r["reason"] is None]
    turns = min((row["turns"] for row in measured), default=0)
    lines = [
        f"machine    {machine['cpu']['model']}, {machine['cpu']['cores']} cores",
        f"epochs     medians of {turns}, with 95 % bootstrap intervals; turns alternate",
        "mean       the mean epoch over the dense mean epoch, as the paper reports it",
        "ceiling    below a speedup: what it would be if only decoding were left",
    ]
    if any(row["accuracy_test"] is not None for row in measured):
        lines.append("±, p       over seeds; of a paired test over the same photos")
    for found in report.get("repeats", {}).get("rows", ()):
        lines += _repeated(found)
    for found in report.get("repeats", {}).get("differences", ()):
        lines.append(
            f"differs    {found['what']}, {found['name']}: {found['theirs']} there, "
            f"{found['here']} here"
        )
    if len({row["engine"] for row in measured}) > 1:
        lines.append("dense      in the engine that runs it fastest")
    if any(row["published"] for row in report["rows"]):
        lines.append(
            "work       multiply-adds over the dense ones; the paper's epochs were on 12 cores"
        )
    for data in report["data"]:
        if data["n_test"]:
            metric = data["metric"]
            lines.append(
                f"gap        on {data['name']} of {TITLES[metric['name']]} ({metric['reason']})"
            )
    if any(row["synthetic"] for row in report["rows"]):
        lines.append("weights    random where synthetic: speed alone, no accuracy")
    for found in report["relative_error_increase"]:
        error = found["standard_error"]
        spread = "" if error is None else f" ± {error:.3f}"
        lines.append(
            f"errors     {found['backbone']}: {found['mean']:+.3f}{spread} relative to dense, over "
            f"{found['data_sets']} data set{'s' if found['data_sets'] > 1 else ''}"
        )
    return lines


def _repeated(found: dict[str, Any]) -> list[str]:
    name = f"{found['backbone']} in {found['engine']}"
    lines = []
    for what, form, times in (("speedup", "{:.2f}", 1), ("accuracy", "{:.1f} %", 100)):
        pair = found[what]
        if pair is not None:
            theirs, here = (form.format(times * pair[side][0]) for side in ("theirs", "here"))
            says = "within the intervals" if pair["agrees"] else "apart, beyond the intervals"
            lines.append(f"repeated   {name}, {what}: {theirs} there, {here} here: {says}")
    return lines
