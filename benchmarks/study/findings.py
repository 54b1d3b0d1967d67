"""What finished runs show: alpha by method and sparsity, and whether it was predicted."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from planning import Plan
from steps import label

from edgetransfer.atomic import write_atomically
from edgetransfer.metrics.transfer import mean_and_standard_error, relative_error_increase

REGULARISED = ("acdc", "str", "rigl", "cram+-multi")
PROGRESSIVE = ("gmp", "woodfisher")
SURE = 1.96  # standard errors
FEW_FILTERS = 0.005  # of all
Cells = Mapping[tuple[str, str, str], list[tuple[float, float]]]
"""By transfer, task and network: accuracy of it and of the dense one, a seed each."""


@dataclass(frozen=True, kw_only=True)
class Alpha:
    """Relative error increase of a network over the tasks: each task's mean over the seeds."""

    mean: float
    error: float | None
    tasks: int


def write_findings(plan: Plan, out: Path) -> str:
    """Write ``findings.md`` and ``findings.csv``; returns the former."""
    reports = _compared(out)
    cells = cells_of(reports.values())
    upstream = _upstream(out)
    text = "\n".join(_document(plan, out, reports, cells, upstream)) + "\n"
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "findings.csv", _csv(cells).encode())
    write_atomically(out / "findings.md", text.encode())
    return text


def _compared(out: Path) -> dict[str, dict[str, Any]]:
    found = sorted((out / "compare").glob("seed-*/report.json"))
    return {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in found}


def cells_of(reports: Iterable[Mapping[str, Any]]) -> Cells:
    """The results of all seeds."""
    found: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for report in reports:
        means = {(r["transfer"], r["data"], r["backbone"]): r["mean"] for r in report["results"]}
        for (transfer, task, name), mean in means.items():
            if name != report["baseline"]:
                dense = means[transfer, task, report["baseline"]]
                found.setdefault((transfer, task, name), []).append((mean, dense))
    return found


def alphas_of(cells: Cells, transfer: str, name: str) -> dict[str, float]:
    """By task, of the mean accuracies over the seeds; without tasks that the dense one solves."""
    found = {}
    for (kind, task, own), pairs in cells.items():
        if (kind, own) == (transfer, name):
            alpha = relative_error_increase(fmean(a for a, _ in pairs), fmean(d for _, d in pairs))
            if alpha is not None:
                found[task] = alpha
    return found


def alpha_of(cells: Cells, transfer: str, name: str) -> Alpha | None:
    """Over the tasks; None where there are none."""
    values = list(alphas_of(cells, transfer, name).values())
    if not values:
        return None
    mean, error = mean_and_standard_error(values)
    return Alpha(mean=mean, error=error, tasks=len(values))


def difference(cells: Cells, transfer: str, first: Iterable[str], second: Iterable[str]) -> str:
    """Whether the mean alpha of some networks is below that of others, paired by task."""
    ours = [alphas_of(cells, transfer, name) for name in first]
    theirs = [alphas_of(cells, transfer, name) for name in second]
    if not ours or not theirs:
        return "not run"
    tasks = set.intersection(*(set(one) for one in (*ours, *theirs)))
    gaps = [fmean(o[t] for o in ours) - fmean(o[t] for o in theirs) for t in sorted(tasks)]
    if len(gaps) < 2:
        return "too few tasks to tell"
    mean, error = mean_and_standard_error(gaps)
    assert error is not None
    said = f"{100 * mean:+.1f} ± {100 * error:.1f} points of alpha over {len(gaps)} tasks: "
    if abs(mean) <= SURE * error:
        return said + "cannot be told"
    return said + ("lower, as predicted" if mean < 0 else "higher, against the prediction")


def _upstream(out: Path) -> dict[str, list[dict[str, Any]]]:
    """The reports of the trainings by the network's name, a seed each."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted((out / "networks").glob("seed-*/*.pretrain.json")):
        name = path.name.removesuffix(".pretrain.json")
        found.setdefault(name, []).append(json.loads(path.read_text(encoding="utf-8")))
    return found


def _document(
    plan: Plan,
    out: Path,
    reports: Mapping[str, Mapping[str, Any]],
    cells: Cells,
    upstream: Mapping[str, list[dict[str, Any]]],
) -> Iterable[str]:
    wanted = len(plan.networks) * len(plan.seeds)
    trained = sum(len(found) for found in upstream.values())
    yield f"# What was found: {out.name}"
    yield ""
    yield f"{trained} of {wanted} trainings and {len(reports)} of {len(plan.seeds)} comparisons are"
    yield "finished; what is not is not in the tables."
    yield ""
    yield "| network | trainings | top-1 upstream | zeros | filters without a weight | work |"
    yield "|---|---|---|---|---|---|"
    for name, found in upstream.items():
        mean, error = mean_and_standard_error([r["top1"] for r in found])
        more = "" if error is None else f" ± {100 * error:.1f}"
        zeros, bare = fmean(r["sparsity"] for r in found), fmean(r["pruned_filters"] for r in found)
        work = fmean(r["training_macs_over_dense"] for r in found)
        yield (
            f"| {name} | {len(found)} | {100 * mean:.1f}{more} | {100 * zeros:.1f} % | "
            f"{100 * bare:.1f} % | {work:.2f} of dense |"
        )
    yield ""
    names = sorted({name for _, _, name in cells}, key=lambda name: (label(name)[1] or 0.0, name))
    transfers = [kind for kind in ("linear", "full") if any(k == kind for k, _, _ in cells)]
    if not names:
        return
    yield "Alpha over the tasks, percent ± its standard error; below 0 is better than dense."
    yield ""
    yield "| network | " + " | ".join(transfers) + " |"
    yield "|---" * (len(transfers) + 1) + "|"
    for name in names:
        said = [_said(alpha_of(cells, transfer, name)) for transfer in transfers]
        yield f"| {name} | " + " | ".join(said) + " |"
    yield ""
    yield "Against what was written down before (README.md):"
    yield ""
    yield from predictions(cells, upstream)


def _said(alpha: Alpha | None) -> str:
    if alpha is None:
        return "–"
    return f"{100 * alpha.mean:+.1f}" + (
        "" if alpha.error is None else f" ± {100 * alpha.error:.1f}"
    )


def predictions(cells: Cells, upstream: Mapping[str, list[dict[str, Any]]]) -> Iterable[str]:
    """Each prediction of the README with what came of it."""
    names = sorted({name for _, _, name in cells})
    by_level: dict[float, tuple[list[str], list[str]]] = {}
    for name in names:
        policy, share = label(name)
        if share is not None and policy in (*REGULARISED, *PROGRESSIVE):
            by_level.setdefault(share, ([], []))[policy in PROGRESSIVE].append(name)
    for share, (regularised, progressive) in sorted(by_level.items()):
        linear = difference(cells, "linear", regularised, progressive)
        yield f"1. Linear, {share:.0%}, regularised less progressive: {linear}."
        full = difference(cells, "full", progressive, regularised)
        yield f"2. Full, {share:.0%}, progressive less regularised: {full}."
    for name in names:
        policy, share = label(name)
        if policy in REGULARISED and share is not None:
            yield f"3. {name}, linear, alpha with difficulty: {_correlation(cells, name)}."
    for name, found in upstream.items():
        policy, share = label(name)
        other = upstream.get(f"gmp-{100 * (share or 0):g}")
        if policy == "acdc" and other:
            ours, theirs = (fmean(r["pruned_filters"] for r in rs) for rs in (found, other))
            said = "as predicted" if ours > 2 * theirs else "against the prediction"
            if max(ours, theirs) < FEW_FILTERS:
                said = "too few to tell"
            yield (f"4. {name}: {ours:.1%} of filters without a weight, gmp {theirs:.1%}: {said}.")
            accuracies = [fmean(r["top1"] for r in rs) for rs in (found, other)]
            yield (
                f"5. {name}: {100 * (accuracies[0] - accuracies[1]):+.1f} points upstream over gmp "
                f"({len(found)} trainings)."
            )


def _correlation(cells: Cells, name: str) -> str:
    """Pearson's, of alpha with full less linear accuracy of the dense network (paper, 3.3)."""
    alphas, hard = alphas_of(cells, "linear", name), {}
    for task in alphas:
        pairs = [cells.get((kind, task, name)) for kind in ("full", "linear")]
        if pairs[0] and pairs[1]:
            hard[task] = fmean(d for _, d in pairs[0]) - fmean(d for _, d in pairs[1])
    if len(hard) < 4:
        return "fewer than four tasks finetuned"
    found = float(np.corrcoef([hard[t] for t in hard], [alphas[t] for t in hard])[0, 1])
    # Fisher's transformation: the interval of a correlation of so few points is wide.
    half = SURE / math.sqrt(len(hard) - 3)
    low, high = (math.tanh(math.atanh(max(-0.999, min(0.999, found))) + d) for d in (-half, half))
    said = "falls with it, as predicted" if high < 0 else "cannot be told"
    if low > 0:
        said = "rises with it, against the prediction"
    return f"correlation {found:+.2f} ({low:+.2f} to {high:+.2f}) over {len(hard)} tasks: {said}"


def _csv(cells: Cells) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("transfer", "task", "network", "seed", "accuracy", "dense"))
    for (transfer, task, name), pairs in cells.items():
        for number, (accuracy, dense) in enumerate(pairs):
            writer.writerow((transfer, task, name, number, accuracy, dense))
    return text.getvalue()
