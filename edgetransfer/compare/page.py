"""A comparison as a page: the paper's figures for the user's own case."""

from __future__ import annotations

from collections.abc import Sequence

from edgetransfer.charts.svg import Axis, Chart
from edgetransfer.metrics.conventions import TITLES
from edgetransfer.pages.html import count, framed, head, plain, share, table, text
from edgetransfer.pages.style import CHART_STYLE, STYLE
from edgetransfer.reports.compare import AlphaRecord, CompareRecord, ResultRecord
from edgetransfer.reports.train import MetricName

NAMES = {"linear": "Linear heads", "full": "Full finetuning"}
LEGEND = """
td small{display:block}figure{margin:0}
figure ul{list-style:none;display:flex;flex-wrap:wrap;gap:2px 14px;padding:0;margin:6px 0;
font-size:13px}figure .dot{display:inline;width:12px;margin:0}
"""


def comparison_page(report: CompareRecord) -> str:
    """The page as one HTML file."""
    trainings = len(report["results"]) * report["seeds"]
    body = (
        f"<main><header><h1>{count(len(report['backbones']), 'backbone')} on "
        f"{count(len(report['data']), 'data set')}</h1>"
        f'<p class="muted">{count(trainings, "training")}, {count(report["seeds"], "seed")}. '
        f"Alpha is the relative increase in error over {text(report['baseline'])}, ± its standard "
        "error over the data sets (Iofinova et al., CVPR 2022).</p></header>"
    )
    for advice in report["advice"]:
        transfer = advice["transfer"]
        results = [r for r in report["results"] if r["transfer"] == transfer]
        alphas = [a for a in report["alphas"] if a["transfer"] == transfer]
        body += (
            f"<section><h2>{NAMES[transfer]}</h2><p>{plain(advice['says'], 2000)}</p>"
            f"{_accuracies(report, results)}{_alphas(alphas)}"
            f"{_alpha_chart(report, alphas)}{_difficulty_chart(report, results)}</section>"
        )
    body += f"<section><h2>Backbones</h2>{_backbones(report)}</section></main>"
    return framed("Backbones compared", body, STYLE + CHART_STYLE + LEGEND, "")


def _accuracies(report: CompareRecord, results: Sequence[ResultRecord]) -> str:
    found = {(r["data"], r["backbone"]): r for r in results}
    heads = head("backbone")
    for data in report["data"]:
        heads += head(f"{data['name']} ({_metric(data['metric'])}, {data['tested_on']})")
    heads += head("seconds an epoch")
    body = ""
    for backbone in report["backbones"]:
        own = [found[data["name"], backbone["name"]] for data in report["data"]]
        body += f'<tr><th scope="row">{text(backbone["name"])}</th>'
        body += "".join(f"<td>{_accuracy(result, report['baseline'])}</td>" for result in own)
        times = ", ".join(f"{result['seconds_per_epoch']:,.2f}" for result in own)
        body += f"<td>{times}</td></tr>"
    return table("Accuracies", heads, body)


def _metric(name: str) -> str:
    metric: MetricName = "top1" if name == "top1" else "mean_per_class"
    return TITLES[metric]


def _accuracy(result: ResultRecord, baseline: str) -> str:
    error = result["standard_error"]
    alpha = None if result["backbone"] == baseline else result["alpha"]
    said = share(result["mean"]) + ("" if error is None else f" ± {100 * error:.1f}")
    return said + ("" if alpha is None else f"<small>alpha {100 * alpha:+.1f}&#8239;%</small>")


def _alphas(alphas: Sequence[AlphaRecord]) -> str:
    heads = head("backbone", "alpha over the data sets", "correlation with difficulty")
    body = ""
    for alpha in alphas:
        mean, error, correlation = alpha["mean"], alpha["standard_error"], alpha["correlation"]
        said = "–" if mean is None else f"{100 * mean:+.1f}&#8239;%"
        said += "" if error is None else f" ± {100 * error:.1f}"
        body += (
            f'<tr><th scope="row">{text(alpha["backbone"])}</th><td>{said}</td>'
            f"<td>{'–' if correlation is None else f'{correlation:+.2f}'}</td></tr>"
        )
    return table("Relative increase in error", heads, body)


def _alpha_chart(report: CompareRecord, alphas: Sequence[AlphaRecord]) -> str:
    """The paper's figures 1 and 2: alpha by sparsity."""
    zeros = {b["name"]: 100 * b["sparsity"] for b in report["backbones"]}
    known = [
        (a["backbone"], 100 * a["mean"], 100 * (a["standard_error"] or 0.0))
        for a in alphas
        if a["mean"] is not None
    ]
    if not known:
        return ""
    ends = [v for _, mean, error in known for v in (mean - error, mean + error)]
    chart = Chart(
        Axis.over([0.0, 100.0], "zeros", "%"),
        Axis.over([0.0, *ends], "alpha", "%"),
        "Relative increase in error by the share of zeros",
    )
    chart.line([(0.0, 0.0), (100.0, 0.0)], series=None, tooltip=report["baseline"], dashes="5 4")
    for series, (name, mean, error) in enumerate(known):
        if error:
            chart.upright(zeros[name], mean - error, mean + error, series=series)
        chart.point(zeros[name], mean, series=series, tooltip=f"{name}: {mean:+.1f} %")
    for name, mean, _ in known:
        chart.label(zeros[name], mean, name[:24])
    return f'<figure class="chart">{chart.finished()}</figure>'


def _difficulty_chart(report: CompareRecord, results: Sequence[ResultRecord]) -> str:
    """The paper's figure 3: alpha of each data set by its difficulty."""
    difficulty = {d["name"]: d["difficulty"] for d in report["data"]}
    points = [
        (r["backbone"], r["data"], 100 * hard, 100 * r["alpha"])
        for r in results
        if r["alpha"] is not None
        and r["backbone"] != report["baseline"]
        and (hard := difficulty[r["data"]]) is not None
    ]
    if len(points) < 2:
        return ""
    chart = Chart(
        Axis.over([x for *_, x, _ in points], "difficulty: finetuned less linear, dense", "%"),
        Axis.over([0.0, *(y for *_, y in points)], "alpha", "%"),
        "Relative increase in error by the difficulty of the data set",
    )
    order = [b["name"] for b in report["backbones"][1:]]
    for backbone, data, x, y in points:
        series = order.index(backbone)
        chart.point(x, y, series=series, tooltip=f"{backbone} on {data}: {y:+.1f} %")
    legend = "".join(
        f'<li><svg class="dot" viewBox="0 0 12 12" aria-hidden="true"><circle cx="6" '
        f'cy="6" r="5" fill="var(--series-{i % 8})"/></svg> {text(name)}</li>'
        for i, name in enumerate(order)
    )
    return f'<figure class="chart">{chart.finished()}<ul>{legend}</ul></figure>'


def _backbones(report: CompareRecord) -> str:
    heads = head("backbone", "zeros", "filters without a weight")
    heads += head("sha256", left=True)
    body = "".join(
        f'<tr><th scope="row">{text(b["name"])}</th><td>{share(b["sparsity"])}</td>'
        f"<td>{share(b['pruned_filters'])}</td>"
        f'<td class="left"><code>{plain(b["sha256"][:16])}</code></td></tr>'
        for b in report["backbones"]
    )
    return table("Backbones", heads, body)
