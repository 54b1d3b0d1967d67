"""A colleague's report, repeated: what is taken from it, and what is said to differ."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest

from edgetransfer.benchmark import BenchmarkSettings, run_benchmark
from edgetransfer.benchmark.provenance import benchmark_command
from edgetransfer.benchmark.repeating import compared_with, read_report, repeated
from edgetransfer.errors import DataError, UsageError
from tests.benchmark.turns import Turns


def interval(median, low, high):
    return {"median": median, "low": low, "high": high}


def row(name, fraction):
    return {
        "backbone": name,
        "engine": "sparse",
        "data": "photos",
        "baseline": name == "small",
        "fraction_of_baseline": interval(fraction, fraction, fraction),
        "metric": "top1",
        "top1": 0.9,
    }


@pytest.fixture
def first(settings):
    """Settings, and the report of a benchmark by them."""
    settings = replace(settings, seeds=1, epochs=1, min_crop=0.7, batch_size=8)
    report = {
        "settings": settings.to_config(),
        "machine": {
            "cpu": {"model": "A CPU", "cores": 2},
            "versions": {"numpy": "1.26"},
            "system": "Linux",
        },
        "data": [{"name": "photos", "n_test": 40}],
        "backbones": [
            {"name": name, "file": f"{name}.onnx", "sha256": digit * 64}
            for name, digit in (("small", "a"), ("sparser", "b"))
        ],
        "rows": [row("small", 1.0), row("sparser", 0.3)],
        "provenance": {
            "code": {"commit": "def", "source_sha256": "5", "engine_library": {"sha256": "6"}},
            "data": {"photos": {"sha256": "7", "photos": 60}},
        },
        "finished": "2026-11-27T20:00:00+00:00",
    }
    return settings, report


def test_all_is_taken_but_for_what_is_said(first, tmp_path):
    settings, report = first
    said = BenchmarkSettings(out=tmp_path / "again", from_report=settings.out, batch_size=16)
    taken = repeated(said, report)
    assert replace(taken, out=settings.out, batch_size=8).to_config() == settings.to_config()
    assert taken.batch_size == 16
    assert taken.from_report is None


def test_the_same_again_differs_in_nothing_and_agrees(settings, tmp_path):
    settings = replace(settings, seeds=1, epochs=1)
    report = run_benchmark(settings, measure=Turns())
    again = BenchmarkSettings(
        out=tmp_path / "again",
        from_report=settings.out,
        retakes=0,
        profile=False,
        cache_dir=settings.cache_dir,
    )
    found = run_benchmark(again, measure=Turns())["repeats"]
    assert found["same_machine"]
    assert found["differences"] == []
    assert [row["backbone"] for row in found["rows"]] == ["small", "sparser"]
    assert all(row["accuracy"]["agrees"] for row in found["rows"])
    page = (tmp_path / "again" / "report.html").read_text()
    assert "Settings, versions, machine and checksums are the same." in page
    about = report["provenance"]
    assert about["command"] == benchmark_command(settings)
    assert f"--baseline {settings.baseline}" in about["command"]
    assert "--batch-size 16" in about["command"]
    assert len(about["code"]["source_sha256"]) == 64
    (data,) = about["data"].values()
    assert data["photos"] == sum(1 for path in Path(settings.data[0]).rglob("*") if path.is_file())


def test_each_difference_is_named(first):
    _, report = first
    other = copy.deepcopy(report)
    other["settings"]["batch_size"] = 99
    other["machine"]["cpu"]["model"] = "An older CPU"
    other["machine"]["versions"]["numpy"] = "0.1"
    other["provenance"]["code"]["commit"] = "abc"
    other["backbones"][1]["sha256"] = "0" * 64
    (data,) = other["provenance"]["data"].values()
    data["sha256"] = "1" * 64
    found = compared_with(report, other)
    assert not found["same_machine"]
    named = {(d["what"], d["name"]) for d in found["differences"]}
    assert named == {
        ("settings", "batch_size"),
        ("machine", "cpu model"),
        ("machine", "version of numpy"),
        ("code", "commit"),
        ("backbones", "sparser"),
        ("data", "data set 1"),
    }


@pytest.mark.parametrize(("low", "high", "agrees"), [(0.2, 0.4, True), (0.2, 0.29, False)])
def test_speedups_agree_where_their_intervals_overlap(first, low, high, agrees):
    _, report = first
    ours, theirs = copy.deepcopy(report), copy.deepcopy(report)
    ours["rows"][1]["fraction_of_baseline"] = {"median": 0.35, "low": 0.3, "high": 0.4}
    theirs["rows"][1]["fraction_of_baseline"] = {"median": 0.25, "low": low, "high": high}
    assert compared_with(ours, theirs)["rows"][1]["speedup"]["agrees"] == agrees
    theirs["rows"][1]["fraction_of_baseline"] = None  # withheld there
    assert compared_with(ours, theirs)["rows"][1]["speedup"] is None


@pytest.mark.parametrize("name", ["data", "baseline", "backbones"])
def test_what_is_not_here_is_asked_for(first, tmp_path, name):
    settings, report = first
    gone = str(tmp_path / "gone" / "small.onnx")
    report["settings"][name] = gone if name == "baseline" else [gone]
    said = BenchmarkSettings(out=tmp_path / "again", from_report=settings.out)
    option = {"data": "--data", "baseline": "--baseline", "backbones": "--backbone"}[name]
    with pytest.raises(UsageError, match=rf"gone.*say with {option} where it is"):
        repeated(said, report)
    here = settings.data if name == "data" else settings.baseline
    value = (str(here),) if name == "backbones" else here
    assert getattr(repeated(replace(said, **{name: value}), report), name) == value


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": [], "settings": 3, "machine": {}}'])
def test_what_is_no_report_is_told(tmp_path, text):
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"report\.json"):
        read_report(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_report(tmp_path / "nothing.json")
