"""A benchmark's rows as CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.charts.benchmark_tables import results_csv, results_tex
from tests.charts.test_benchmark_page import report, row

REFUSED = {
    **dict.fromkeys(("seconds_per_epoch", "fraction_of_baseline", "speedup", "top1")),
    "mean_per_class": None,
    "reason": "a & b: 100 % of_it",
    "stages": {},
}


def test_a_row_is_a_line_that_begins_with_what_it_is():
    made = report(row("dense", 1.0, 0.9), row("sparse", 0.3, 0.88), row("odd", 0.5, 0.5, **REFUSED))
    text = results_csv(made)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert text.splitlines()[0].startswith("data,backbone,engine,sparsity,baseline")
    assert [r["backbone"] for r in rows] == ["dense", "sparse", "odd"]
    assert float(rows[1]["seconds_per_epoch.median"]) == pytest.approx(3.0)
    assert float(rows[1]["stages.forward"]) == pytest.approx(4.0)
    assert [r["baseline"] for r in rows] == ["yes", "", ""]
    assert rows[2]["speedup"] == ""
    assert rows[2]["reason"] == REFUSED["reason"]


def test_the_table_has_the_numbers():
    made = report(
        row("dense", 1.0, 0.9),
        row("sparse", 0.3, 0.88, doubts=[{"says": "others took 20 %"}]),
        row("o", 1, 1, **REFUSED),
    )
    text = results_tex(made)
    lines = text.splitlines()
    assert r"dense & deepsparse & 90.0 & 10.00 & 9.90--10.10 & 1.00 & 90.0 & 90.0 \\" in lines
    assert "% dagger: sparse, deepsparse: others took 20 %" in lines
    assert "3.00$^\\dagger$ & 2.90--3.10 & 3.33 & 88.0" in text
    assert r"\multicolumn{5}{l}{a \& b: 100 \% of\_it} \\" in text
    assert text.count("toprule") == text.count("bottomrule") == 1


@given(st.text(min_size=1, max_size=30))
def test_no_name_is_a_command_of_tex(name):
    (line,) = [
        line
        for line in results_tex(report(row(name, 1.0, 0.9))).splitlines()
        if " & 90.0 & " in line
    ]
    cell = line.split(" & deepsparse")[0]
    bare = re.sub(r"\\(text[a-z]+\{\}|[&%$#_{}])", "", cell)
    assert not set(bare) & set("\\&%$#_{}~^")
