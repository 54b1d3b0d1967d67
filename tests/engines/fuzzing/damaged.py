"""Damaged plans, handed to the sparse engine under the address and undefined-behaviour sanitizers.

    python -m tests.engines.fuzzing.damaged [--seconds 600] [--seed 0] [--kernels portable]

Plans of all operators, one for each and some of random graphs, are damaged in a few words, as
`fuzz_plan.cpp` says, and opened and run by the library with one set of kernels.
It may refuse a plan or run it, but neither crash nor touch what is not its own. A round is a
function of its seed alone. A line a round goes to stderr; what a sanitizer said of the first fault
goes to stdout, with its seed, and the exit code is then 1.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgetransfer.engines.sparse.lowering import lower
from edgetransfer.errors import EngineError
from tests.engines.fuzzing.graphs import random_graph
from tests.engines.fuzzing.steps import STEPS
from tests.engines.sparse.harness import MEMORY, PORTABLE, SETS, build_harness

ROUND = 5000
RANDOM = 20  # graphs, beside one for each operator
MOST_WORDS = 20_000  # of a plan; damage to a long one is in weights' places alone
LIMITS = "allocator_may_return_null=1:max_allocation_size_mb=3000"


@dataclass(frozen=True, kw_only=True)
class Round:
    """What came of some thousand damaged plans.

    Parameters
    ----------
    refused, ran
        How many of them.
    said
        By a sanitizer, or by the system that ended the process; empty if nothing was wrong.
    """

    refused: int = 0
    ran: int = 0
    said: str = ""


class Damaging:
    """The program, and plans to be damaged.

    Parameters
    ----------
    folder
        An empty one.
    kernels
        The set that the library is built with; code is generated for all but the portable ones.
    """

    def __init__(self, folder: Path, kernels: str = PORTABLE) -> None:
        self._kernels = kernels
        self._program = build_harness(folder, "fuzz_plan", *MEMORY, kernels=kernels)
        graphs = {name: random_graph(1, always=name) for name in STEPS}
        graphs |= {f"random-{seed}": random_graph(seed) for seed in range(RANDOM)}
        self.plans: list[Path] = []
        for name, model in graphs.items():
            try:
                arrays = lower(model).serialise()
            except EngineError:  # this graph is for another engine
                continue
            if len(arrays[0]) > MOST_WORDS:
                continue
            plan = folder / name
            plan.mkdir()
            for part, array in zip(("words", "numbers"), arrays, strict=True):
                array.tofile(plan / part)
            self.plans.append(plan)

    def round(self, seed: int, *, count: int = ROUND) -> Round:
        """Damage, open and run so many."""
        done = subprocess.run(
            [str(self._program), str(seed), str(count), *map(str, self.plans)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "ASAN_OPTIONS": LIMITS, "EDGETRANSFER_ISA": self._kernels},
        )
        if done.returncode:
            return Round(said=done.stderr or f"exit code {done.returncode}")
        refused, ran = (int(part.split()[0]) for part in done.stdout.split(","))
        return Round(refused=refused, ran=ran)


def processor_seconds() -> float:
    """Of all children so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=600, help="of processor time")
    parser.add_argument("--seed", type=int, default=0, help="of the first round")
    parser.add_argument("--kernels", default=PORTABLE, choices=SETS)
    args = parser.parse_args()
    seed, refused, ran = args.seed, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        damaging = Damaging(Path(folder), args.kernels)
        start = processor_seconds()
        while (used := processor_seconds() - start) < args.seconds:
            found = damaging.round(seed)
            if found.said:
                print(f"seed {seed}:\n{found.said}")
                return 1
            seed, refused, ran = seed + 1, refused + found.refused, ran + found.ran
            said = f"{len(damaging.plans)} plans damaged, {refused} refused, {ran} run"
            print(f"{seed - args.seed} rounds: {said}, {used:.0f} s", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
