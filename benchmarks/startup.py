"""How long a command takes to begin: importing, and a first prediction of its own process.

python benchmarks/startup.py [--repeats N]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter

from workloads import in_turns, median, report

COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "edgetransfer --help": [sys.executable, "-m", "edgetransfer", "--help"],
    "edgetransfer doctor": [sys.executable, "-m", "edgetransfer", "doctor", "--json"],
    "import onnxruntime": [sys.executable, "-c", "import onnxruntime"],
    "import sklearn.linear_model": [sys.executable, "-c", "import sklearn.linear_model"],
    "import torch": [sys.executable, "-c", "import torch"],
    "import deepsparse": [sys.executable, "-c", "import deepsparse"],
}
QUIET = {"NM_DISABLE_ANALYTICS": "1", "NM_VERSION_CHECK": "false"}


def starts(command: list[str]) -> Callable[[], float]:
    def measure() -> float:
        start = perf_counter()
        done = subprocess.run(
            command, capture_output=True, env={**os.environ, **QUIET}, check=False
        )
        return perf_counter() - start if done.returncode == 0 else float("nan")

    return measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    found = in_turns({name: starts(command) for name, command in COMMANDS.items()}, args.repeats)
    seconds = {name: median(values, 3) for name, values in found.items()}
    report("startup", seconds={n: s if s == s else None for n, s in seconds.items()})


if __name__ == "__main__":
    main()
