"""From records to rows, by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from edgetransfer.benchmark.rows import Cell, error_increases, rows_of


def record(seconds, engine, *, accuracy=None):
    scores = {} if accuracy is None else {"top1": accuracy, "mean_per_class": accuracy}
    return {
        "seconds": seconds,
        "images": 100,
        "engine": {"name": engine, "version": "1", "reason": "asked for by name"},
        # 10 ms and 2.5 ms an image: 1.25 s for 100.
        "floor": {"engine": 100.0, "decoding": 400.0, "rate": 80.0},
        "stages": {"decode": 0.1, "transform": 0.2, "forward": 1.0, "head": 0.1},
        "cpu_seconds": 1.4,
        "forward_wall": 0.9,
        "peak_memory_bytes": 1000,
        "other_load": 0.0,
        "n_skipped": 0,
        **scores,
    }


def cell(name, engine, seconds, *, data="pets", accuracies=(), reason=None):
    contestant = SimpleNamespace(
        name=name,
        baseline="dense",
        is_synthetic=not accuracies,
        precision="float32",
        published_report=None,
        backbone=SimpleNamespace(sparsity=0.0 if name == "dense" else 0.9),
    )
    scores = list(accuracies) or [None] * len(seconds)
    records = {
        (seed, 0): record(s, engine, accuracy=a)
        for seed, (s, a) in enumerate(zip(seconds, scores, strict=True))
    }
    return Cell(contestant=contestant, engine=engine, data=data, records=records, reason=reason)


def test_drift_of_the_machine_cancels_in_the_fraction():
    # Everything takes twice as long in the second round, and three times in the third.
    rows = rows_of([cell("dense", "a", [10, 20, 30]), cell("sparse", "a", [2, 4, 6])])
    assert rows[1]["fraction_of_baseline"] == pytest.approx(
        {"median": 0.2, "low": 0.2, "high": 0.2, "mean": 0.2}
    )
    assert rows[1]["speedup"] == pytest.approx(5)
    assert rows[1]["seconds_per_epoch"]["low"] == 2
    # Decoding alone takes a quarter of a second, the dense epoch 20.
    assert rows[1]["ceiling"] == pytest.approx(80)


def test_efficiency_is_of_the_floor():
    (row,) = rows_of([cell("dense", "a", [2.5])])
    assert row["efficiency"] == pytest.approx(0.5)  # 40 images a second of 80


def test_the_baseline_is_dense_where_it_is_fastest():
    cells = [
        cell("dense", "slow", [20.0]),
        cell("dense", "fast", [10.0]),
        cell("sparse", "slow", [5.0]),
        cell("sparse", "fast", [8.0]),
    ]
    slow, fast, sparse_slow, sparse_fast = rows_of(cells)
    assert [row["fraction_of_baseline"]["median"] for row in (slow, fast)] == [2.0, 1.0]
    assert [row["fraction_in_engine"]["median"] for row in (slow, fast)] == [1.0, 1.0]
    assert sparse_slow["fraction_of_baseline"]["median"] == 0.5
    assert sparse_slow["fraction_in_engine"]["median"] == 0.25
    assert sparse_fast["baseline_engine"] == "fast"


def test_accuracy_is_the_mean_over_seeds_and_the_gap_is_to_dense():
    cells = [
        cell("dense", "a", [9.0, 9.0], accuracies=[0.9, 0.8]),
        cell("sparse", "a", [3.0, 3.0], accuracies=[0.8, 0.7]),
        cell("dense", "a", [9.0], data="cars", accuracies=[0.5]),
        cell("sparse", "a", [3.0], data="cars", accuracies=[0.75]),
    ]
    rows = rows_of(cells)
    assert rows[1]["mean_per_class"] == pytest.approx(0.75)
    assert rows[1]["accuracy_gap"] == pytest.approx(0.1)
    # 0.2 against 0.1 and 0.3 against 0.2: 1 and 0.5 more.
    assert rows[1]["relative_error_increase"] == pytest.approx(0.75)
    assert rows[3]["relative_error_increase"] == pytest.approx(-0.5)
    (found,) = error_increases(rows)
    assert (found["backbone"], found["data_sets"]) == ("sparse", 2)
    assert found["mean"] == pytest.approx(0.125)
    assert found["standard_error"] == pytest.approx(1.25 / 2)


def test_a_failed_baseline_leaves_the_others_without_fraction():
    cells = [cell("dense", "a", [9.0], reason="aborted"), cell("sparse", "a", [3.0])]
    failed, row = rows_of(cells)
    assert failed["seconds_per_epoch"] is None
    assert failed["reason"] == "aborted"
    assert row["seconds_per_epoch"]["median"] == 3.0
    assert row["fraction_of_baseline"] is None
