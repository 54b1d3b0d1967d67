"""A benchmark beside other load: turns are taken again, and no speedup is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgetransfer.benchmark import run_benchmark
from edgetransfer.benchmark.turn import take_turn
from tests.benchmark.turns import Turns, without_times


@pytest.mark.parametrize(
    ("loads", "retakes", "takes", "kept"),
    [
        ([0.4], 0, 1, 0.4),
        ([0.4, 0.01, 0.0], 3, 2, 0.01),
        ([0.4, 0.2, 0.3], 2, 3, 0.2),
    ],
)
def test_a_disturbed_turn_is_taken_again(settings, loads, retakes, takes, kept):
    left = list(loads)

    def measure(request, progress):
        return take_turn(request, progress) | {"other_load": left.pop(0)}

    settings = replace(settings, backbones=(), epochs=1, seeds=1, retakes=retakes)
    (row,) = run_benchmark(settings, measure=measure)["rows"]
    assert row["other_load"] == kept
    assert len(loads) - len(left) == takes


def test_what_was_disturbed_is_measured_again_by_the_same_command(settings):
    settings = replace(settings, epochs=2, seeds=1, retakes=1)

    class Busy(Turns):
        def __call__(self, request, progress):
            record = super().__call__(request, progress)
            busy = request.epoch == 1
            return record | ({"other_load": 0.8, "contention": 0.8} if busy else {})

    first = run_benchmark(settings, measure=Busy())
    assert {"left out", "few rounds"} <= {doubt["kind"] for doubt in first["rows"][1]["doubts"]}
    again = Turns()
    second = run_benchmark(settings, measure=again)
    # The whole round, for its turns are compared; what was learned stays.
    assert [taken[2:] for taken in again.taken] == [(1, "sparser.onnx"), (1, "small.onnx")]
    assert without_times(second) == without_times(first)
    assert "left out" not in {doubt["kind"] for doubt in second["rows"][1]["doubts"]}
    quiet = Turns()
    run_benchmark(settings, measure=quiet)
    assert quiet.taken == []


def test_under_load_no_speedup_is_told_anywhere(settings):
    class Busy(Turns):
        def __call__(self, request, progress):
            return super().__call__(request, progress) | {"other_load": 0.8, "contention": 0.8}

    report = run_benchmark(replace(settings, seeds=1), measure=Busy())
    row = report["rows"][1]
    assert row["seconds_per_epoch"] is not None
    for name in ("speedup", "speedup_interval", "fraction_of_baseline", "efficiency", "ceiling"):
        assert row[name] is None
    page = (settings.out / "report.html").read_text()
    assert "withheld" in page
    assert "no speedup can be told" in page
    assert "×" not in page.split("<table>")[1].split("</table>")[0]
    assert "no speedup can be told" in (settings.out / "table.tex").read_text()
