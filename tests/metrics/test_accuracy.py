"""Accuracy against hand counts and scikit-learn."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix

from edgetransfer.metrics import STAGES, Accuracy, StageClock, accuracy_of, peak_memory_bytes


def test_a_hand_counted_case() -> None:
    # Class 0: 1 of 2, class 1: 3 of 3, class 2: absent, class 3: 0 of 1.
    labels = np.array([0, 0, 1, 1, 1, 3])
    predicted = np.array([0, 2, 1, 1, 1, 0])
    accuracy = accuracy_of(labels, predicted, 4)
    assert accuracy.count == 6
    assert accuracy.top1 == pytest.approx(4 / 6)
    assert accuracy.mean_per_class == pytest.approx((0.5 + 1 + 0) / 3)
    np.testing.assert_array_equal(accuracy.per_class, [0.5, 1, np.nan, 0])
    assert accuracy.confusion[0].tolist() == [1, 0, 1, 0]
    assert accuracy.confusion[3].tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("seed", range(5))
def test_it_is_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 7, 200)
    predicted = np.where(rng.random(200) < 0.6, labels, rng.integers(0, 7, 200))
    accuracy = Accuracy(7)
    for start in range(0, 200, 64):
        accuracy.update(labels[start : start + 64], predicted[start : start + 64])
    assert accuracy.top1 == pytest.approx(accuracy_score(labels, predicted))
    assert accuracy.mean_per_class == pytest.approx(balanced_accuracy_score(labels, predicted))
    np.testing.assert_array_equal(
        accuracy.confusion, confusion_matrix(labels, predicted, labels=range(7))
    )


def test_without_samples_there_is_no_accuracy() -> None:
    accuracy = Accuracy(3)
    accuracy.update(np.array([], np.int64), np.array([], np.int64))
    assert accuracy.count == 0
    assert math.isnan(accuracy.top1)
    assert math.isnan(accuracy.mean_per_class)
    assert np.isnan(accuracy.per_class).all()


def test_stage_seconds_add_up_over_threads() -> None:
    clock = StageClock()
    assert clock.seconds == dict.fromkeys(STAGES, 0.0)

    def work() -> None:
        for _ in range(1000):
            clock.add(decode=0.25, transform=0.5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.seconds == {"decode": 1000.0, "transform": 2000.0, "forward": 0.0, "head": 0.0}


def test_a_block_is_measured_even_if_it_fails() -> None:
    clock = StageClock()

    def fails() -> None:
        with clock.measure("head"):
            time.sleep(0.02)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert 0.02 <= clock.seconds["head"] < 2
    assert clock.seconds["forward"] == 0


PEAK = """
from edgetransfer.metrics import peak_memory_bytes
before = peak_memory_bytes()
data = b"x" * {more}
del data
print(before, peak_memory_bytes())
"""


def peaks_of(program: str) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    if "None" in done.stdout:
        pytest.skip("this system does not tell")
    return [int(word) for word in done.stdout.split()]


def test_the_peak_of_memory_sees_an_array_that_is_gone_again() -> None:
    # Larger than this process, should the new one's count begin with ours.
    more = 200_000_000 + (peak_memory_bytes() or 0)
    before, after = peaks_of(PEAK.format(more=more))
    assert 5e6 < before < more
    assert more <= after < more + 200e6


def test_the_peak_of_memory_is_not_that_of_the_process_that_started_this_one() -> None:
    outer = f"""
import subprocess, sys
data = b"x" * 400_000_000
print(subprocess.run([sys.executable, "-c", {PEAK.format(more=1)!r}], capture_output=True,
                     text=True, check=True).stdout)
"""
    assert max(peaks_of(outer)) < 300e6
