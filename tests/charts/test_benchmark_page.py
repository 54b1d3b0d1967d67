"""The benchmark's page, charts and plots."""

from __future__ import annotations

import importlib.util
import re
from html.parser import HTMLParser

import pytest

from edgetransfer.charts.benchmark_figures import (
    gap_points,
    ideal_with_decoding,
    pareto_front,
    sparsity_lines,
    stage_bars,
)
from edgetransfer.charts.benchmark_page import benchmark_page
from edgetransfer.charts.benchmark_plots import benchmark_plots
from edgetransfer.charts.svg import HEIGHT, WIDTH, Axis, Chart

VOID = {"meta", "wbr", "br", "path", "circle"}


def row(name, fraction, accuracy, **changes):
    seconds = 10.0 * fraction
    return {
        "backbone": name,
        "sparsity": 0.9,
        "engine": "deepsparse",
        "engine_reason": "it gains from sparsity",
        "data": "pets",
        "seconds_per_epoch": {"median": seconds, "low": seconds - 0.1, "high": seconds + 0.1},
        "fraction_of_baseline": {"median": fraction, "low": fraction - 0.01, "high": fraction},
        "fraction_in_engine": None,
        "speedup": 1 / fraction,
        "ceiling": 20.0,
        "efficiency": 0.96,
        "stages": {"decode": 1.0, "transform": 0.5, "forward": 2 * seconds - 2, "head": 0.1},
        "top1": accuracy,
        "mean_per_class": accuracy,
        "accuracy_gap": 0.9 - accuracy,
        "peak_memory_bytes": 2**30,
        "other_load": 0.01,
        "baseline": fraction == 1,
        "synthetic": False,
        "reason": None,
        **changes,
    }


def report(*rows):
    cpu = {"model": "A <fast> CPU", "cores": 2, "logical": 2, "flags": ["avx2"]}
    return {
        "machine": {
            "cpu": cpu,
            "governor": "performance",
            "load": 0.2,
            "memory_bytes": 2**34,
            "system": "Linux x86_64",
            "python": "CPython 3.11",
            "versions": {"deepsparse": "1.8.0", "torch": None},
        },
        "epochs": 3,
        "seeds": 2,
        "batch_size": 64,
        "threads": None,
        "data": [
            {
                "name": "pets",
                "n_classes": 37,
                "n_train": 3000,
                "images_per_epoch": 3000,
                "n_test": 500,
                "held_out": 0.0,
            }
        ],
        "backbones": [
            {"name": r["backbone"], "layers": [{"name": "a", "sparsity": s} for s in (0, 0.9)]}
            for r in rows
        ],
        "rows": list(rows),
        "relative_error_increase": [],
    }


DENSE, SPARSE = row("dense", 1.0, 0.9), row("<b>sparse</b>", 0.25, 0.88)
FAILED = row("odd", 1.0, 0.5) | {
    **dict.fromkeys(["seconds_per_epoch", "fraction_of_baseline", "stages", "efficiency"]),
    **dict.fromkeys(["top1", "mean_per_class", "accuracy_gap", "peak_memory_bytes"]),
    "reason": "aborted & gone",
    "baseline": False,
}


class Balanced(HTMLParser):
    """Knows whether every element is closed in order, and collects text."""

    def __init__(self):
        super().__init__()
        self.open, self.texts = [], []

    def handle_starttag(self, tag, attrs):
        assert not any("http" in (value or "") for _, value in attrs)
        assert tag not in ("link", "script", "img")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_is_whole_and_needs_nothing_beside_it():
    page = benchmark_page(report(DENSE, SPARSE, FAILED))
    parser = Balanced()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    text = " ".join(parser.texts)
    for shown in ("A <fast> CPU", "<b>sparse</b>", "aborted & gone", "0.250", "4.00×", "+2.0%"):
        assert shown in text
    assert "url(" not in page
    assert "@import" not in page


def test_without_accuracy_there_is_no_scatter():
    synthetic = {"synthetic": True, "top1": None, "mean_per_class": None, "accuracy_gap": None}
    page = benchmark_page(report(DENSE | synthetic, SPARSE | synthetic))
    assert "Time against accuracy" not in page
    assert "top-1" not in page
    assert "random weights" in page


def test_figures_show_the_rows():
    shown = report(DENSE, SPARSE, FAILED)
    dense, sparse = stage_bars(shown)
    # Two cores: 2 s of processor time for decode are 1 s of the epoch.
    assert dense.parts["decode"] == 0.5
    assert sum(dense.parts.values()) == pytest.approx(dense.seconds)
    assert sparse.parts["idle"] == pytest.approx(2.5 - (1.0 + 0.5 + 3.0 + 0.1) / 2)
    assert [point.gap for point in gap_points(shown)] == [0.0, pytest.approx(2.0)]
    assert sparsity_lines(shown)[0].layers == (("a", 0), ("a", 0.9))


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.0, 1.0], (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        ([-3.0, 17.0], (-5.0, 0.0, 5.0, 10.0, 15.0, 20.0)),
        ([0.0], (0.0, 1.0)),
    ],
)
def test_axes_have_round_ticks_around_all_values(values, ticks):
    axis = Axis.over(values, "x")
    assert axis.ticks == ticks
    assert (axis.low, axis.high) == (ticks[0], ticks[-1])


def test_labels_collide_neither_with_points_nor_with_each_other():
    unit = Axis.over([0.0, 1.0], "x")
    chart = Chart(unit, unit, "crowded")
    places = [(0.5 + 0.02 * (i % 3), 0.5 + 0.02 * (i // 3)) for i in range(6)] + [(1.0, 0.0)]
    for x, y in places:
        chart.point(x, y, series=0, tooltip="")
    for i, (x, y) in enumerate(places):
        chart.label(x, y, f"backbone-{i}")
    boxes = chart._taken
    assert len(boxes) == 2 * len(places)
    labels = boxes[len(places) :]
    for i, (left, top, right, bottom) in enumerate(labels):
        assert (left >= 0, right <= WIDTH, top >= 0, bottom <= HEIGHT) == (True,) * 4
        for other in boxes[: len(places)] + labels[:i]:
            apart = left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]
            assert apart
    assert len(re.findall("backbone-", chart.finished())) == len(places)


def whole(**profile):
    """A report with every measurement that a chart shows."""
    epochs = [{"seconds": 3.0 + i, "disturbed": i == 1} for i in range(3)]
    layers = [
        {"name": n, "sparsity": 0.9, "seconds": 1e-3, "macs": m, "bytes": 10**6, "shape": []}
        for n, m in (("conv<1>", 10**7), ("conv2", 10**8), ("empty", 0))
    ]
    made = report(DENSE, {**SPARSE, "epochs": epochs}, FAILED)
    made["profiles"] = [
        {
            "backbone": "sparse",
            "engine": "sparse",
            "threads": [{"threads": t, "images_per_second": 90.0 * t} for t in (1, 2, 4)],
            "layers": layers,
            "peaks": {"macs": 5e10, "bandwidth": 1e10},
            "disturbed": False,
            "withheld": False,
            **profile,
        }
    ]
    return made


TITLES = ("Speedup against sparsity", "Every epoch", "Engines alone, by threads", "roofline")


def test_every_measurement_has_its_chart():
    page = benchmark_page(whole())
    assert all(f"{title}</h2>" in page for title in TITLES)
    assert "round 2: 4.00 s, disturbed" in page
    assert "conv&lt;1&gt;, 90% zeros, 1.00 ms a batch" in page
    assert "10.0 GB/s, 50 thousand million" in page
    assert ">empty" not in page  # no work, no rate
    bare = benchmark_page(report(DENSE))
    assert not any(f"{title}</h2>" in bare for title in TITLES)


def test_what_was_measured_under_load_is_not_drawn():
    page = benchmark_page(whole(withheld=True))
    assert "roofline</h2>" not in page
    assert "by threads</h2>" not in page


def test_the_ideal_with_decoding_has_its_ends_right():
    assert ideal_with_decoding(0.0, 14.0) == pytest.approx(1.0)
    assert ideal_with_decoding(1.0, 14.0) == pytest.approx(14.0)
    # Half of the epoch is decoding, half of the rest is left: 0.75.
    assert ideal_with_decoding(0.5, 2.0) == pytest.approx(1 / 0.75)


def test_the_front_is_of_those_that_none_beats():
    rows = [
        row(name, fraction, 0.9 - gap)
        for name, fraction, gap in (
            ("a", 0.2, 0.05),
            ("b", 0.3, 0.02),
            ("worse", 0.35, 0.03),
            ("dense", 1.0, 0.0),
        )
    ]
    front = pareto_front(gap_points(report(*rows)))
    assert [point.label for point in front] == ["a", "b", "dense"]


def test_a_logarithmic_axis_has_equal_factors_at_equal_lengths():
    axis = Axis.of_factors([0.3, 70.0], "x")
    assert axis.ticks == pytest.approx((0.1, 1.0, 10.0, 100.0))
    assert [axis.at(tick) for tick in axis.ticks] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert Axis.of_factors([1.0], "x").ticks == (1.0, 10.0)


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="no matplotlib")
def test_plots_are_files_of_three_kinds():
    drawn = benchmark_plots(whole())
    assert drawn == benchmark_plots(whole())
    names = ("accuracy", "speedup", "stages", "epochs", "threads", "roofline", "sparsity")
    assert set(drawn) == {f"{name}.{kind}" for name in names for kind in ("png", "svg", "pdf")}
    marks = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert all(content.startswith(marks[name[-3:]]) for name, content in drawn.items())
