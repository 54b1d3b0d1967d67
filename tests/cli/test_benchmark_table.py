"""The benchmark's table in every width of terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from edgetransfer.cli.benchmark_table import print_rows

NAMES = ("mobilenet_v1_imagenet_dense", "mobilenet_v1-90-woodfisher", "a [bold] name", "x")


def interval(value):
    return {"median": value, "low": value - 0.01, "high": value + 0.01, "mean": value}


def row(name, engine, data, **changes):
    return {
        "backbone": name,
        "sparsity": 0.9012,
        "engine": engine,
        "data": data,
        "seconds_per_epoch": interval(123.456),
        "fraction_of_baseline": interval(0.321),
        "fraction_in_engine": interval(0.432),
        "speedup": 3.114,
        "ceiling": 17.0,
        "efficiency": 0.987,
        "published": None,
        "top1": 0.9123,
        "mean_per_class": 0.8976,
        "metric": "top1",
        "accuracy": {"deviation": 0.004},
        "accuracy_gap": 0.0154,
        "accuracy_test": {"p": 0.031},
        "baseline": False,
        "peak_memory_bytes": 2**30,
        "doubts": [],
        **changes,
    }


ROWS = [
    row(name, engine, data)
    for data in ("caltech-101", "a data set with quite a long name")
    for engine in ("sparse", "openvino-int8")
    for name in NAMES
]
NUMBERS = ("90.1%", "123", "0.321", "0.432", "3.11x", "0.987", "91.2%", "89.8%", "+1.5%", "1,024")


@pytest.mark.parametrize("width", range(40, 201))
def test_nothing_is_lost_in_any_width(width):
    file = io.StringIO()
    print_rows(ROWS, Console(file=file, width=width, force_terminal=True, color_system=None))
    text = file.getvalue()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    for number in NUMBERS:
        assert text.count(number) >= len(ROWS), number
    # Names may be folded over lines: put together they are all there.
    letters = re.sub(r"[^a-z0-9]", "", text.lower())
    if width < 100:
        for name in (*NAMES[:3], "openvino-int8", "a data set with quite a long name"):
            assert re.sub(r"[^a-z0-9]", "", name) in letters, name
    else:
        for name in ("openvin", "caltech"):
            assert name in text


def test_what_is_withheld_is_no_number():
    withheld = {"says": "load", "kind": "disturbed", "withholds": True}
    nothing = dict.fromkeys(("fraction_of_baseline", "fraction_in_engine", "speedup", "efficiency"))
    file = io.StringIO()
    rows = [row("a", "sparse", "d", doubts=[withheld], **nothing)]
    print_rows(rows, Console(file=file, width=120, color_system=None))
    assert "withheld" in file.getvalue()
    assert "a †" in file.getvalue()
    assert "3.1" not in file.getvalue()
