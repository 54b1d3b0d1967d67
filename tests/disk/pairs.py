"""Two commands on one folder: the first is stopped in the midst, and the second comes.

    python -m tests.disk.pairs [--each 50]

The first command is stopped (SIGSTOP) at calls that change the disk, spread over all of it; the
second is carried out meanwhile, and the first then goes on to its end. If the first had the folder,
a second that writes must be refused with a sentence that names the first, and one that reads be
right or say why not; the first must end as if it had been alone. If it had not yet, the second must
be right, and the first may be refused. A table goes to stdout; the exit code is 1 after a fault.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.disk.commands import Done, Mode
from tests.disk.outcomes import outcome
from tests.disk.scenes import SCENES, Argv, Scene, Stage, streamed, trained

NAMED = {scene.name: scene for scene in SCENES}
OVER_RUN = ("train --overwrite", "finetune --overwrite", "report RUN")
OVER_STREAM = ("stream", "rollback", "forget")


def writers(scene: Scene) -> dict[str, Argv]:
    """Commands that would write to the folder of a scene, by the name that refusals give."""
    if scene.run == "run":
        return {name.split()[0]: NAMED[name].argv for name in OVER_RUN} | {
            "stream": lambda w: (*streamed(w)[:-3], w.work / "run", "--threads", "1")
        }
    return {name: NAMED[name].argv for name in OVER_STREAM} | {
        "train": lambda w: (*trained(w)[:-1], w.work / "stream", "--overwrite")
    }


def readers(scene: Scene) -> dict[str, Argv]:
    """Commands that only read it."""
    assert scene.run is not None
    run = scene.run
    reading: dict[str, Argv] = {
        "predict": lambda w: ("predict", w.work / run, w.photos / "test"),
        "evaluate": lambda w: ("evaluate", w.work / run, w.photos / "test"),
    }
    if run == "stream":
        reading["check"] = lambda w: ("check", w.work / run)
    return reading


class Pairs:
    """A first command, and all that may come in its midst.

    Parameters
    ----------
    stage
        Where.
    """

    def __init__(self, stage: Stage, scene: Scene) -> None:
        self._stage, self._scene = stage, scene
        self._work = stage.world.work
        stage.prepare(scene)
        done = stage.commands.run(*scene.argv(stage.world))
        assert done.status == 0, done.said
        self.calls = done.calls
        self._alone = outcome(self._work, scene.makes)

    def meet(self, second: Argv, at: int, *, reads: bool) -> tuple[str, str | None]:
        """What came of it: ``refused``, ``read``, ``first`` or ``''``; and what was wrong."""
        stage, scene = self._stage, self._scene
        stage.begin()
        first = stage.commands.run(*scene.argv(stage.world), at=at, mode=Mode.STOP)
        if first.pid is None:
            return "", None
        number = stage.commands.number
        met = stage.commands.run(*second(stage.world))
        ended = stage.commands.go_on(first, number)
        if "Traceback" in met.said + ended.said:
            return "wrong", met.said[-1000:] + ended.said[-1000:]
        said = f"`edgetransfer {scene.argv(stage.world)[0]}` (process"
        refused = met.status == 1 and said in met.error
        if not reads and not refused:
            return ("first", None) if self._took_turns(met, ended) else ("wrong", met.error)
        if reads and met.status not in (0, 1):
            return "wrong", f"{met.status}: {met.error}"
        if ended.status != 0:
            return "wrong", f"the first: {ended.status}: {ended.error}"
        if outcome(self._work, scene.makes) != self._alone:
            return "wrong", "the first ended otherwise than alone"
        return ("read" if reads else "refused"), None

    def _took_turns(self, met: Done, ended: Done) -> bool:
        """Whether the second was done before the first had the folder, or refused for its kind."""
        kind = met.status in (1, 2) and "(process" not in met.error and bool(met.error)
        return (met.status == 0 and ended.status in (0, 1, 2)) or (kind and ended.status == 0)


def places(calls: int, many: int, rng: random.Random) -> Sequence[int]:
    """Calls to be stopped at: one in each stretch."""
    many = min(many, calls)
    return [
        rng.randint(calls * k // many + 1, max(calls * (k + 1) // many, 1)) for k in range(many)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--each", type=int, default=50, help="meetings of a pair")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng, faults = random.Random(args.seed), 0
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(folder=Path(folder))
        print(f"{'first':22} {'second':10} {'refused':>8} {'read':>6} {'before':>7} {'wrong':>6}")
        try:
            for name in (*OVER_RUN, *OVER_STREAM):
                pairs = Pairs(stage, NAMED[name])
                seconds = [(n, a, False) for n, a in writers(NAMED[name]).items()]
                seconds += [(n, a, True) for n, a in readers(NAMED[name]).items()]
                for second, argv, reads in seconds:
                    counts = dict.fromkeys(("refused", "read", "first", "wrong", ""), 0)
                    for at in places(pairs.calls, args.each, rng):
                        what, wrong = pairs.meet(argv, at, reads=reads)
                        counts[what] += 1
                        if wrong is not None:
                            print(f"{name}, {second} at {at}: {wrong}", file=sys.stderr, flush=True)
                    faults += counts["wrong"]
                    told = (counts["refused"], counts["read"], counts["first"], counts["wrong"])
                    print(f"{name:22} {second:10} {told[0]:8} {told[1]:6} {told[2]:7} {told[3]:6}")
                    sys.stdout.flush()
        finally:
            stage.commands.close()
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
