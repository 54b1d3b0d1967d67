"""Plans: kept by machine and backbone, believed only where they can be used."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from edgetransfer.backbones import Backbone
from edgetransfer.engines import (
    EnginePlan,
    Workload,
    find_plan,
    open_engine,
    open_streams,
    save_plan,
    saved_plans,
)
from edgetransfer.engines import plan as plans
from edgetransfer.engines.pinning import PinnedEngine, on_core
from tests.graphs_made import noise, tiny

PLAN = EnginePlan(
    engine="onnxruntime",
    streams=2,
    batch_size=32,
    workers=3,
    images_per_second={"deepsparse": 80.0, "onnxruntime": 120.0},
)
WORK = Workload(backbone="net", key="sha:features:224")


def test_a_plan_comes_back_for_the_same_work_alone(tmp_path: Path) -> None:
    path = save_plan(PLAN, tmp_path, WORK)
    assert path.is_relative_to(tmp_path)
    assert find_plan(tmp_path, WORK) == PLAN
    assert find_plan(tmp_path, replace(WORK, backbone="another name")) == PLAN
    assert find_plan(tmp_path, replace(WORK, key="sha:features:256")) is None
    assert find_plan(tmp_path / "elsewhere", WORK) is None
    assert saved_plans(tmp_path) == [("net", PLAN)]


def test_another_processor_or_engine_version_knows_no_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_plan(PLAN, tmp_path, WORK)
    monkeypatch.setattr(plans, "cpu_model", lambda: "another processor")
    assert find_plan(tmp_path, WORK) is None
    assert saved_plans(tmp_path) == []


def test_a_plan_belongs_to_a_number_of_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "available_cores", lambda: 4)
    save_plan(PLAN, tmp_path, WORK)
    assert find_plan(tmp_path, replace(WORK, threads=4)) == PLAN
    assert find_plan(tmp_path, replace(WORK, threads=9)) == PLAN
    assert find_plan(tmp_path, replace(WORK, threads=2)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"engine": "no such engine"},
        {"streams": 0},
        {"streams": "two"},
        {"batch_size": -1},
        {"unknown": 1},
    ],
)
def test_a_plan_that_cannot_be_used_is_none(change: dict[str, object], tmp_path: Path) -> None:
    path = save_plan(PLAN, tmp_path, WORK)
    content = json.loads(path.read_text())
    content["plan"] |= change
    path.write_text(json.dumps(content))
    assert find_plan(tmp_path, WORK) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"plan": 1}'])
def test_a_broken_file_is_no_plan(text: str, tmp_path: Path) -> None:
    save_plan(PLAN, tmp_path, WORK).write_text(text)
    assert find_plan(tmp_path, WORK) is None


@pytest.mark.parametrize(("most", "training", "batch"), [
    (32, 64, 32), (64, 64, 64), (None, 50, 50), (32, 50, 25), (16, 7, 7), (16, 17, 1),
])  # fmt: skip
def test_the_engines_batch_divides_the_training_batch(
    most: int | None, training: int, batch: int
) -> None:
    assert EnginePlan(batch_size=most).batch_of(training) == batch


def test_auto_takes_the_measured_engine_and_says_the_figures(tmp_path: Path) -> None:
    frozen = Backbone.open(tiny().save(tmp_path / "t.onnx")).frozen(2)
    engine = open_engine(frozen, threads=1, plan=PLAN)
    assert engine.name == "onnxruntime"
    for text in ("edgetransfer tune", "120 images/s", "deepsparse 80"):
        assert text in engine.choice.reason


def test_a_measured_engine_that_fails_by_now_is_passed_over_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgetransfer.engines import deepsparse_engine

    monkeypatch.setattr(deepsparse_engine, "why_absent", lambda: "it was removed")
    frozen = Backbone.open(tiny().save(tmp_path / "t.onnx")).frozen(2)
    plan = EnginePlan(engine="deepsparse", streams=2)
    (engine,) = open_streams(frozen, plan, threads=2)
    assert engine.name != "deepsparse"
    assert "it was removed" in engine.choice.reason


@pytest.mark.parametrize("pinned", [False, True])
def test_streams_are_alike(pinned: bool, tmp_path: Path) -> None:
    frozen = Backbone.open(tiny().save(tmp_path / "t.onnx")).frozen(4)
    engines = open_streams(frozen, replace(PLAN, pinned=pinned), threads=2)
    assert [engine.name for engine in engines] == ["onnxruntime"] * 2
    assert all(isinstance(engine, PinnedEngine) == pinned for engine in engines)
    assert {engine.input_shape for engine in engines} == {(4, 3, 16, 16)}
    first, second = (engine.run(noise(4, 3, 16, 16)) for engine in engines)
    assert first.tobytes() == second.tobytes()
    for engine in engines:
        engine.close()


def test_another_engine_asked_for_by_name_has_no_streams(tmp_path: Path) -> None:
    frozen = Backbone.open(tiny().save(tmp_path / "t.onnx")).frozen(4)
    plan = replace(PLAN, engine="deepsparse")
    assert len(open_streams(frozen, plan, engine="onnxruntime", threads=2)) == 1


def test_a_thread_leaves_its_core_afterwards() -> None:
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system does not say where a thread may run")
    before = os.sched_getaffinity(0)
    with on_core(1):
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before
