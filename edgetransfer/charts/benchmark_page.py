"""A benchmark's report as one HTML file that needs nothing beside it."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from edgetransfer.charts.benchmark_charts import (
    epochs_chart,
    gap_chart,
    legend,
    roofline_chart,
    series_of,
    speedup_chart,
    threads_chart,
)
from edgetransfer.charts.benchmark_figures import (
    STAGES,
    Report,
    SparsityLine,
    row_label,
    sparsity_lines,
    stage_bars,
)
from edgetransfer.charts.benchmark_sources import provenance_section, repeated_section
from edgetransfer.charts.benchmark_style import STYLE
from edgetransfer.charts.svg import Axis, Chart

Row = dict[str, Any]


def benchmark_page(report: Report) -> str:
    """The page; ``report`` is that of `edgetransfer.benchmark.run_benchmark`."""
    sections = [
        _heading(report),
        *(_table(report, data) for data in report["data"]),
        _figure("Where an epoch goes", _stages(report), _STAGES_CAPTION),
        _figure("Speedup against sparsity", speedup_chart(report), _SPEEDUP_CAPTION),
        _figure("Time against accuracy", gap_chart(report), _SCATTER_CAPTION),
        _figure("Every epoch", epochs_chart(report), _EPOCHS_CAPTION),
        _figure("Engines alone, by threads", threads_chart(report), _THREADS_CAPTION),
        _figure("Layers against the roofline", roofline_chart(report), _ROOF_CAPTION),
        _figure("Zeros by layer", _sparsity(report), _SPARSITY_CAPTION),
        _errors(report),
        _method(report),
        repeated_section(report),
        provenance_section(report),
    ]
    body = "\n".join(section for section in sections if section)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<title>Time per epoch against dense</title>\n"
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


_STAGES_CAPTION = (
    "Processor seconds by stage over the number of cores, so that a bar without idle time is as "
    "long as its epoch."
)
_SPEEDUP_CAPTION = (
    "Times as fast as dense, with 95 % intervals. Dashed: time as the weights that are left. Line: "
    "the same for the backbone's part, while decoding takes what it takes. Dotted: the ceiling, "
    "decoding alone, where it is in sight. A ring: other processes disturbed it."
)
_SCATTER_CAPTION = (
    "Seconds per epoch over those of dense, with 95 % intervals, against accuracy lost, in points. "
    "Left and low is better; the dashed line joins those that none beats in both."
)
_EPOCHS_CAPTION = (
    "Seconds of each timed epoch. A ring: other processes took more than 5 % of the processor, and "
    "it does not count where half of the rounds or more were quiet."
)
_THREADS_CAPTION = (
    "The forward pass alone, median of three rounds in turns; dotted from nought: what one thread "
    "does, in proportion."
)
_ROOF_CAPTION = (
    "Each layer with weights as the engine timed it in this benchmark: multiply-adds with weights "
    "that are not zero, against the bytes that must be moved once. The roof was measured in the "
    "same process: copying beyond the caches, and multiply-adds in registers."
)
_SPARSITY_CAPTION = "The share of zero weights in each layer with weights, in graph order."


def _heading(report: Report) -> str:
    machine = report["machine"]
    cpu = machine["cpu"]
    memory = machine["memory_bytes"] / 2**30
    load = "" if machine["load"] is None else f", load {machine['load']:.1f} at the start"
    governor = f", governor {machine['governor']}" if machine["governor"] else ""
    lines = [
        f"{cpu['model']}, {cpu['cores']} cores ({' '.join(cpu['flags'])}), {memory:.1f} GiB"
        f"{governor}{load}",
        _versions(report),
    ]
    text = "".join(f"<p class='muted'>{escape(line)}</p>" for line in lines)
    return f"<header><h1>Time per epoch against dense</h1>{text}</header>"


def _versions(report: Report) -> str:
    machine = report["machine"]
    known = {name: version for name, version in machine["versions"].items() if version}
    return ", ".join(
        [machine["system"], machine["python"], *(f"{n} {v}" for n, v in known.items())]
    )


def _table(report: Report, data: dict[str, Any]) -> str:
    rows = [row for row in report["rows"] if row["data"] == data["name"]]
    with_accuracy = any(row["top1"] is not None for row in rows)
    several = len({row["engine"] for row in report["rows"]}) > 1
    heads = ["backbone", "zeros", *(["engine"] if several else []), "seconds per epoch"]
    heads += ["of dense", *(["in this engine"] if several else [])]
    heads += ["speedup", "ceiling", "of the floor"]
    if with_accuracy:
        heads += ["top-1", "per class", "gap"]
    heads += ["peak memory"]
    head = "".join(f"<th>{h}</th>" for h in heads)
    body = "".join(_table_row(row, len(heads), with_accuracy, several) for row in rows)
    engine = "" if several or not rows else f", {rows[0]['engine']}"
    count = f"{data['images_per_epoch']:,} images per epoch"
    if data["images_per_epoch"] < data["n_train"]:
        count += f" (of {data['n_train']:,})"
    if with_accuracy:
        count += f", tested on {data['n_test']:,}"
    if data["held_out"]:
        count += f" ({data['held_out']:.0%} of each class, held out)"
    return (
        f"<section><h2>{escape(data['name'])}</h2>"
        f"<p class='muted'>{data['n_classes']} classes, {count}{escape(engine)}</p>"
        f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"</div>{_doubts(rows)}</section>"
    )


def _doubts(rows: list[Row]) -> str:
    """What is to be known of the rows with a dagger."""
    items = "".join(
        f"<li><b>{escape(row['backbone'])}</b>, {escape(row['engine'])}: "
        f"{escape('; '.join(doubt['says'] for doubt in row['doubts']))}.</li>"
        for row in rows
        if row.get("doubts")
    )
    return f"<p><span class='mark'>†</span> Doubtful:</p><ul>{items}</ul>" if items else ""


def _table_row(row: Row, columns: int, with_accuracy: bool, several: bool) -> str:
    name = re.sub(r"([_-])", r"\1<wbr>", escape(row["backbone"]))
    tags = [t for t, on in (("baseline", row["baseline"]), ("random", row["synthetic"])) if on]
    name += "".join(f" <span class='tag'>{tag}</span>" for tag in tags)
    if row.get("doubts"):
        says = "; ".join(doubt["says"] for doubt in row["doubts"])
        name += f" <span class='mark' title='{escape(says)}'>†</span>"
    cells = [f"<th>{name}</th>", f"<td>{row['sparsity']:.1%}</td>"]
    if several:
        cells.append(f"<td>{escape(row['engine'])}</td>")
    if row["seconds_per_epoch"] is None:
        reason = escape(row["reason"] or "")
        cells.append(f"<td class='reason' colspan='{columns - len(cells)}'>{reason}</td>")
        return f"<tr>{''.join(cells)}</tr>"
    values = [
        _interval(row["seconds_per_epoch"], "{:.2f}"),
        _interval(row["fraction_of_baseline"], "{:.3f}"),
        *([_interval(row["fraction_in_engine"], "{:.3f}")] if several else []),
        _speedup(row),
        _value(row.get("ceiling"), "{:.0f}×"),
        _value(row["efficiency"], "{:.3f}"),
    ]
    if with_accuracy:
        values += [_accuracy(row, name) for name in ("top1", "mean_per_class")]
        values.append(_gap(row))
    memory = row["peak_memory_bytes"]
    values.append(_value(None if memory is None else memory / 2**20, "{:,.0f} MiB"))
    return f"<tr>{''.join(cells)}{''.join(f'<td>{value}</td>' for value in values)}</tr>"


def _speedup(row: Row) -> str:
    if row.get("speedup") is None:
        withheld = any(doubt["withholds"] for doubt in row.get("doubts", ()))
        return "withheld" if withheld else "–"
    interval = row.get("speedup_interval")
    spread = (
        ""
        if interval is None or row["baseline"]
        else f" <small>{interval[0]:.2f}–{interval[1]:.2f}</small>"
    )
    return f"{row['speedup']:.2f}×{spread}"


def _accuracy(row: Row, name: str) -> str:
    """An accuracy, with its standard deviation over seeds where it is the one that counts."""
    found = row.get("accuracy")
    text = _value(row[name], "{:.1%}")
    if found is None or name != row.get("metric") or found["deviation"] is None:
        return text
    return f"{text} <small>± {100 * found['deviation']:.1f}</small>"


def _gap(row: Row) -> str:
    test = row.get("accuracy_test")
    text = _value(row["accuracy_gap"], "{:+.1%}")
    return text if test is None or row["baseline"] else f"{text} <small>p {test['p']:.2g}</small>"


def _value(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _interval(value: dict[str, float] | None, form: str) -> str:
    if value is None:
        return "–"
    median, low, high = (form.format(value[key]) for key in ("median", "low", "high"))
    return median if low == high else f"{median} <small>{low}–{high}</small>"


def _figure(title: str, content: str, caption: str) -> str:
    if not content:
        return ""
    return (
        f"<figure><h2>{title}</h2>{content}<figcaption class='muted'>{caption}</figcaption>"
        "</figure>"
    )


def _stages(report: Report) -> str:
    bars = stage_bars(report)
    if not bars:
        return ""
    content = legend((name, f"stage-{name}") for name in (*STAGES, "others", "idle"))
    for data in dict.fromkeys(bar.data for bar in bars):
        shown = [bar for bar in bars if bar.data == data]
        longest = max(max(bar.seconds, sum(bar.parts.values())) for bar in shown)
        if len(report["data"]) > 1:
            content += f"<h3>{escape(data)}</h3>"
        for bar in shown:
            parts = "".join(
                f"<i class='stage-{name}' style='width:{100 * seconds / longest:.3f}%' "
                f"title='{name} {seconds:.2f} s'></i>"
                for name, seconds in bar.parts.items()
            )
            numbers = " · ".join(f"{name} {seconds:.2f}" for name, seconds in bar.parts.items())
            content += (
                f"<div class='bar'><b>{escape(bar.label)}</b><span>{bar.seconds:.2f} s</span>"
                f"<div class='stack'>{parts}</div><small>{numbers}</small></div>"
            )
    return content


def _sparsity(report: Report) -> str:
    lines = sparsity_lines(report)
    # Backbones with as many layers are of one architecture: only these compare layer by layer.
    counts = dict.fromkeys(len(line.layers) for line in lines)
    return "".join(
        _sparsity_chart([line for line in lines if len(line.layers) == count]) for count in counts
    )


def _sparsity_chart(lines: list[SparsityLine]) -> str:
    most = len(lines[0].layers)
    ticks = Axis.over([0.0, float(most)], "").ticks
    chart = Chart(
        Axis(0.0, float(most), "layer", tuple(tick for tick in ticks if tick <= most)),
        Axis(0.0, 100.0, "zeros", (0, 20, 40, 60, 80, 100), " %"),
        "Share of zero weights by layer",
    )
    for i, line in enumerate(lines):
        chart.levels([100 * share for _, share in line.layers], series=i, tooltip=line.label)
    return legend(series_of([line.label for line in lines])) + chart.finished()


def _errors(report: Report) -> str:
    rows = []
    for found in report["relative_error_increase"]:
        error = found["standard_error"]
        label = escape(row_label({**found, "data": ""}, report, with_data=False))
        spread = "–" if error is None else f"{error:.3f}"
        rows.append(
            f"<tr><th>{label}</th><td>{found['mean']:+.3f}</td><td>{spread}</td>"
            f"<td>{found['data_sets']}</td></tr>"
        )
    if not rows:
        return ""
    return (
        "<section class='half'><h2>Relative error increase</h2><p class='muted'>(error − error of "
        "dense) / error of dense, of mean per-class accuracy, over the data sets.</p>"
        "<div class='wide'><table><thead><tr><th>backbone</th><th>mean</th>"
        "<th>standard error</th><th>data sets</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _method(report: Report) -> str:
    threads = report["threads"] or f"all {report['machine']['cpu']['cores']}"
    points = [
        "Each epoch is one of online linear finetuning: new augmented views (random resized crop, "
        "flip), the backbone, a step of SGD on the head. It is timed in a process of its own, "
        "after a warm-up of three batches and after all photos were read once; the backbones take "
        "turns, there and back, so that drift and order cancel.",
        f"Epochs: {report['epochs']}, seeds: {report['seeds']}, batches of {report['batch_size']}, "
        f"{threads} cores. Medians, with 95 % bootstrap intervals over epochs and seeds; with "
        "three or fewer that is their range. Fractions are taken turn by turn, of the dense "
        "baseline in the engine that runs it fastest.",
        "The ceiling is the speedup if the backbone cost nothing and only decoding and "
        "augmentation were left (Amdahl). The floor is the sum of the engine alone and of "
        "decoding alone on all cores, measured beside each epoch; the column tells how much of "
        "the floor's images a second the whole pipeline reaches.",
        "Peak memory is that of the whole process, compiling included.",
        *(_remarks(report)),
    ]
    items = "".join(f"<li>{escape(point)}</li>" for point in points)
    return f"<section><h2>How it was measured</h2><ul>{items}</ul></section>"


def _remarks(report: Report) -> list[str]:
    remarks = []
    measured = [row for row in report["rows"] if row["seconds_per_epoch"] is not None]
    if any(row["synthetic"] for row in report["rows"]):
        remarks.append(
            "Backbones marked random have random weights, pruned by magnitude: they show speed, "
            "and their accuracy would say nothing."
        )
    if any(row["top1"] is not None for row in measured):
        remarks.append(
            f"Accuracy is that after {report['epochs']} epochs, the mean over seeds, ± their "
            "standard deviation; p is of a paired test over the same photos: how often two equally "
            "good backbones differ as much."
        )
    if measured:
        load = max(row["other_load"] for row in measured)
        remarks.append(f"Other processes took {load:.1%} of the processor, at most.")
    for engine, reason in {row["engine"]: row["engine_reason"] for row in measured}.items():
        remarks.append(f"Engine {engine}: {reason}.")
    return remarks
