"""The cost model against sums done by hand, and the simulated cluster against what must hold."""

from __future__ import annotations

import subprocess
import sys
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

PROGRAMS = Path(__file__).parents[2] / "docs" / "programs"
sys.path.insert(0, str(PROGRAMS))

from cluster import Cluster, simulated  # noqa: E402
from cost_model import Assumptions, Backbone, cost_of, milliseconds  # noqa: E402

NETWORK = Backbone(name="b", size=224, per_core=100, dimension=1000)
PLAIN = Assumptions(
    megapixels=1, kilobytes=100, opening=1, per_megapixel=2, per_input=7, cores_a_node=10
)


def test_a_million_photos_by_hand():
    assert milliseconds(NETWORK, PLAIN) == pytest.approx(1 + 2 + 7 + 10)
    cost = cost_of(1e6, NETWORK, PLAIN)
    assert cost.core_hours == pytest.approx(1e6 * 0.020 / 3600)
    assert cost.hours(10) == pytest.approx(0.5556, rel=1e-3)
    assert cost.dollars == pytest.approx(5.5556 * 0.02 + 0.40, rel=1e-3)
    assert cost.kilowatt_hours == pytest.approx(5.5556 * 0.008, rel=1e-3)
    assert cost.terabytes_in == pytest.approx(0.1)
    assert cost.terabytes_out == pytest.approx(0.004)
    assert not cost.network_bound


def test_a_slow_network_is_waited_for():
    """Ten cores, 500 photos a second of 100 kB are 0.4 Gbit/s; over 0.1 they take four times."""
    slow = Assumptions(**{**vars(PLAIN), "gigabits": 0.1})
    cost = cost_of(1e6, NETWORK, slow)
    assert cost.network_bound
    assert cost.core_hours == pytest.approx(4 * cost_of(1e6, NETWORK, PLAIN).core_hours)
    assert cost.kilowatt_hours == cost_of(1e6, NETWORK, PLAIN).kilowatt_hours


def test_equal_tasks_and_workers_that_live_take_rounds():
    quiet = Cluster(workers=7, spread=0, slow=0, life=inf, start=3)
    assert simulated(22, 10, quiet).seconds == pytest.approx(3 + 4 * 10)


@given(
    st.integers(0, 60),
    st.integers(1, 12),
    st.floats(1, 100),
    st.sampled_from([20.0, 200.0, inf]),
    st.integers(0, 99),
)
def test_each_task_is_done_once_whoever_dies(tasks, workers, each, life, seed):
    cluster = Cluster(workers=workers, slow=0.3, life=max(life, each), restart=5)
    went = simulated(tasks, each, cluster, seed)
    assert went == simulated(tasks, each, cluster, seed)
    assert set(went.done) <= {1}
    assert len(went.done) == tasks
    assert went.paid >= went.lost >= 0
    assert (went.deaths > 0) == (went.lost > 0)
    assert went.seconds * workers >= went.paid * (1 - 1e-9)


@pytest.mark.slow
def test_the_page_is_current():
    done = subprocess.run([sys.executable, str(PROGRAMS / "cost.py"), "--check"], check=False)
    assert done.returncode == 0, "run python docs/programs/cost.py"
