"""Every bar of a speedup, from both sides."""

from __future__ import annotations

import pytest

from edgetransfer.benchmark.doubts import clean_rounds, doubts_of

QUIET = {"seconds": 1.0, "other_load": 0.0, "contention": 0.0, "clock": 1e9, "place": 0}
ENGINE = {"name": "sparse", "version": "1", "reason": "it runs"}
ROW = {
    "images": 100,
    "images_per_second": {"decoding_alone": 1000.0},
    "seconds_per_epoch": {"median": 1.0},
    "accuracy_test": None,
}


def records(count=6, **changes):
    """Records by round; a change may be a value, or a value a round."""

    def at(i):
        own = {k: v[i] if isinstance(v, list) else v for k, v in changes.items()}
        return {**QUIET, "engine": ENGINE, "plan": {"cores": 2}, **own}

    return {(0, i): at(i) for i in range(count)}


def kinds(own, dense=None, **row):
    found = doubts_of(own, dense or records(len(own)), {**ROW, **row}, is_baseline=False)
    return {doubt["kind"]: doubt["withholds"] for doubt in found}


def test_a_quiet_measurement_is_not_doubted():
    assert kinds(records()) == {}


def test_disturbed_rounds_do_not_count_where_half_were_quiet():
    own = records(other_load=[0.5, 0.0, 0.0, 0.0, 0.2, 0.0])
    assert clean_rounds(own, records()) == [(0, 1), (0, 2), (0, 3), (0, 5)]
    assert kinds(own) == {"left out": False}
    # So it is where dense was disturbed.
    assert clean_rounds(records(), own) == [(0, 1), (0, 2), (0, 3), (0, 5)]


@pytest.mark.parametrize("side", ["own", "dense"])
@pytest.mark.parametrize(
    ("load", "contention", "expected"),
    [
        (0.05, 0.05, {}),
        (0.06, 0.06, {"disturbed": False}),
        (0.25, 0.25, {"disturbed": False}),
        (0.26, 0.26, {"disturbed": True}),
        (0.9, 0.9, {"disturbed": True}),
        # Others on cores that were not wanted.
        (0.4, 0.0, {"disturbed": False}),
    ],
)
def test_what_others_took_marks_then_withholds(side, load, contention, expected):
    disturbed, quiet = records(other_load=load, contention=contention), records()
    own, dense = (disturbed, quiet) if side == "own" else (quiet, disturbed)
    assert kinds(own, dense) == expected


def test_a_quota_is_as_bad_as_other_processes():
    assert kinds(records(throttled=0.4)) == {"disturbed": True}
    assert kinds(records(throttled=0.1)) == {"disturbed": False}


@pytest.mark.parametrize(("count", "doubted"), [(1, True), (2, True), (3, False)])
def test_few_rounds_say_so(count, doubted):
    assert ("few rounds" in kinds(records(count))) == doubted


@pytest.mark.parametrize(("slow", "doubted"), [(0.92e9, False), (0.9e9, True)])
def test_a_clock_that_changes_is_told(slow, doubted):
    assert ("clock" in kinds(records(clock=[1e9] * 5 + [slow]))) == doubted
    assert ("clock" in kinds(records(), records(clock=[slow] + [1e9] * 5))) == doubted
    assert kinds(records(clock=None), records(clock=None)) == {}


@pytest.mark.parametrize(("later", "doubted"), [(1.0, False), (1.04, False), (1.2, True)])
def test_whoever_comes_second_must_not_lose_by_it(later, doubted):
    places = [0, 1, 0, 1, 0, 1]
    own = records(place=places, seconds=[later if p else 1.0 for p in places])
    dense = records(place=[1 - p for p in places])
    assert ("order" in kinds(own, dense)) == doubted


def test_one_slow_epoch_is_no_effect_of_order():
    places = [0, 1, 0, 1, 0, 1]
    own = records(place=places, seconds=[1.0, 1.0, 1.0, 1.6, 1.0, 1.0])
    assert kinds(own, records(place=[1 - p for p in places])) == {}


def test_another_engine_in_between_and_other_cores_are_told():
    fell_back = [ENGINE] * 5 + [{**ENGINE, "name": "onnxruntime"}]
    assert kinds(records(engine=fell_back)) == {"engine": False}
    assert kinds(records(plan={"cores": 1})) == {"threads": False}


@pytest.mark.parametrize(("rate", "doubted"), [(201.0, False), (199.0, True)])
def test_an_epoch_of_decoding_is_told(rate, doubted):
    speeds = {"decoding_alone": rate}
    assert ("decoding" in kinds(records(), images_per_second=speeds)) == doubted


@pytest.mark.parametrize(
    ("gap", "p", "doubted"),
    [(0.02, 0.01, True), (0.02, 0.2, False), (0.009, 0.001, False), (-0.03, 0.001, False)],
)
def test_a_speedup_at_another_accuracy_is_told(gap, p, doubted):
    assert ("accuracy" in kinds(records(), accuracy_test={"gap": gap, "p": p})) == doubted
