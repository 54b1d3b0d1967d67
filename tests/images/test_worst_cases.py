"""A decoder takes no more than it is allowed, in any format and mode; the program has the table."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from edgetransfer.images import limits

SMALL = 8 * 2**20
# Beside what grows with the picture: values that are converted a million at a time, a decoder's
# tables, and what its library takes when it is used for the first time.
BESIDE = 40 * 2**20
SECONDS = 15

CHILD = """
import json, sys, warnings
from tests.images.worst_cases import cases, taken
warnings.simplefilter("ignore")  # of Pillow, at half of the size that it refuses
for case in cases(quick=len(sys.argv) > 2):
    took = taken(case, int(sys.argv[1]))
    print(json.dumps([case.name, took.pixels, took.peak, took.seconds]), flush=True)
"""


def worst(budget: int) -> list[tuple[str, int, int, float]]:
    """Name, pixels, peak and seconds of each case; of small ones without slow encoders."""
    words = [str(budget), *(["quick"] if budget == SMALL else [])]
    child = subprocess.run(
        [sys.executable, "-c", CHILD, *words], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    return [tuple(json.loads(line)) for line in child.stdout.splitlines()]


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize(
    "budget", [SMALL, pytest.param(limits.PHOTO_BYTES, marks=pytest.mark.slow)]
)
def test_the_largest_photo_of_every_format_and_mode_stays_within_its_budget(budget: int) -> None:
    found = worst(budget)
    assert len(found) >= 20
    for name, pixels, peak, seconds in found:
        assert peak < budget + BESIDE, (name, pixels, peak)
        assert seconds < SECONDS, (name, seconds)
