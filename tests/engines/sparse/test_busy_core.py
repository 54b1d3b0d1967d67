"""Threads beside busy cores: a thread that is not scheduled must not hold the others up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgetransfer.engines.sparse.library import Session
from edgetransfer.engines.sparse.lowering import lower
from edgetransfer.engines.sparse.plan import Plan
from edgetransfer.native.compiling import why_absent
from tests.engines.sparse.harness import RACES, build_harness
from tests.engines.sparse.plans import open_plan, run_plan, run_session
from tests.graphs_made import noise, tiny

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))


def rate(session: Session, plan: Plan, images: np.ndarray, seconds: float) -> float:
    start, runs = time.perf_counter(), 0
    while (taken := time.perf_counter() - start) < seconds:
        run_session(session, plan, images)
        runs += 1
    return runs / taken


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen here")
@pytest.mark.parametrize("batch", [1, 5])
def test_two_threads_beside_a_busy_core_are_not_slower_than_one(batch: int) -> None:
    # Many steps for little work: with a spinning barrier two threads made a third of one here.
    plan = lower(tiny(batch=1, size=96, width=24).model)
    images = noise(batch, 3, 96, 96)
    one, two = open_plan(plan, threads=1), open_plan(plan, threads=2)
    cores = sorted(os.sched_getaffinity(0))
    loop = f"import os; os.sched_setaffinity(0, {{{cores[0]}}})\nwhile 1: pass"
    busy = subprocess.Popen([sys.executable, "-c", loop])
    try:
        ratios = []
        for _ in range(6):
            alone = rate(one, plan, images, 0.1)
            ratios.append(rate(two, plan, images, 0.1) / alone)
    finally:
        busy.kill()
        busy.wait()
        one.close()
        two.close()
    # The bar is 0.95 of a quiet machine; this one may be running anything beside.
    assert np.median(ratios) > 0.6, ratios


@pytest.mark.parametrize("threads", [2, 7, 50])
def test_more_threads_than_cores_change_no_bit_and_never_hang(threads: int) -> None:
    plan = lower(tiny(batch=1, sparsity=0.5).model)
    images = noise(21, 3, 16, 16)
    expected = run_plan(plan, images)
    session = open_plan(plan, threads=threads)
    for count in [1, 3, 5, 16, 21] * 4:
        np.testing.assert_array_equal(run_session(session, plan, images[:count]), expected[:count])
    session.close()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
def test_sharing_steps_is_free_of_data_races(tmp_path: Path) -> None:
    program = build_harness(tmp_path, "run_plan", *RACES)
    plan = lower(tiny(batch=1, sparsity=0.5).model)
    images = noise(37, 3, 16, 16)
    expected = run_plan(plan, images)
    for name, array in zip(("words", "numbers"), plan.serialise(), strict=True):
        array.tofile(tmp_path / name)
    for count in (1, 4, 16, 37):
        images[:count].tofile(tmp_path / "images")
        files = [str(tmp_path / n) for n in ("words", "numbers", "images")]
        size = expected[:count].size
        command = [str(program), *files, str(count), "4", str(tmp_path / "out"), str(size)]
        # What generated code touches, the sanitizer does not see.
        own = {**os.environ, "EDGETRANSFER_ISA": "portable"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=own)
        assert done.returncode == 0, done.stderr[-3000:]
        found = np.fromfile(tmp_path / "out", np.float32).reshape(expected[:count].shape)
        np.testing.assert_allclose(found, expected[:count], rtol=1e-5, atol=1e-5)
