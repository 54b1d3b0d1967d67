"""Random graphs of all operators that the sparse engine lowers, against unoptimised ONNX Runtime.

    python -m tests.engines.fuzzing [--graphs 20000] [--seed 0] [--engine sparse]

Tensors are read several times, nodes that do nothing give them other names, padding is odd and
everywhere, batches fill the lanes or don't, and each set of kernels that runs here has its turn.
A difference counts in parts of the largest output; short batches must have the very bits of long
ones. Each graph is a function of its seed alone. One JSON line a fault goes to stdout, progress to
stderr; the exit code is 1 if there was a fault.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter

import numpy as np

from edgetransfer.engines.registry import engine_names
from edgetransfer.engines.sparse.library import instruction_set
from tests.engines.fuzzing.comparing import compared
from tests.engines.fuzzing.graphs import random_graph
from tests.engines.sparse.plans import INSTRUCTION_SETS, forced


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--graphs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first graph")
    parser.add_argument("--engine", default="sparse", choices=engine_names()[1:])
    args = parser.parse_args()
    own = INSTRUCTION_SETS[INSTRUCTION_SETS.index(instruction_set()) :]
    rng, start = np.random.default_rng(args.seed), time.perf_counter()
    faults, worst, operators = 0, 0.0, Counter[str]()
    for done, seed in enumerate(range(args.seed, args.seed + args.graphs), start=1):
        model = random_graph(seed)
        operators.update(node.op_type for node in model.graph.node)
        kernels = str(rng.choice(own))
        with forced(kernels):
            threads = int(rng.choice([1, 1, 1, 1, 2, 3]))
            found = compared(model, engine=args.engine, seed=seed, threads=threads)
        worst = max(worst, found.difference)
        if found.faulty:
            faults += 1
            case = {"seed": seed, "kernels": kernels, "threads": threads}
            seen = {"difference": found.difference, "uneven": found.uneven}
            print(json.dumps({**case, **seen, "refused": found.refused}), flush=True)
        if done % 1000 == 0 or done == args.graphs:
            seconds = time.perf_counter() - start
            said = f"{done} graphs, {faults} faults, largest difference {worst:.1e}"
            print(f"{said}, {seconds:.0f} s", file=sys.stderr, flush=True)
    print(f"nodes: {dict(operators.most_common())}", file=sys.stderr)
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
