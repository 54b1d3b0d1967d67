"""Two commands on one folder: the first is stopped in the midst, and the second comes.

    python -m tests.disk.pairs [--each 50] [--only NAME]

The first command is stopped (SIGSTOP) at calls that change the disk, spread over all of it; all
that may come second is carried out meanwhile, one after the other, and the first then goes on to
its end. If the first had the folder, a second that writes must be refused with a sentence that
names the first, and one that reads be right or say why not; the first must end as if it had been
alone. If it had not yet, the second must be right, and the first may be refused; then no other
comes, and places are drawn until each pair has met so often. A table goes to stdout, and behind it
whatever was said where something was wrong; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.disk.commands import Done, Mode
from tests.disk.outcomes import outcome
from tests.disk.scenes import SCENES, Argv, Scene, Stage, streamed, trained

NAMED = {scene.name: scene for scene in SCENES}
OVER_RUN = ("train --overwrite", "finetune --overwrite", "report RUN")
OVER_STREAM = ("stream", "rollback", "forget")

SAID = 4000  # of what a command said at the end, characters that are kept
ENDS = ("refused", "read", "before", "wrong")


@dataclass(frozen=True, kw_only=True)
class Second:
    """A command that comes while another is at it.

    Parameters
    ----------
    reads
        Whether it only reads the folder.
    """

    name: str
    argv: Argv
    reads: bool


@dataclass(frozen=True, kw_only=True)
class Met:
    """What came of a second command.

    Parameters
    ----------
    at
        The call that the first was stopped at.
    what
        One of `ENDS`.
    said
        What was wrong, in the words of the command that it was wrong of; or empty.
    """

    second: str
    at: int
    what: str
    said: str = ""


def writers(scene: Scene) -> dict[str, Argv]:
    """Commands that would write to the folder of a scene, by the name that refusals give."""
    if scene.run == "run":
        return {name.split()[0]: NAMED[name].argv for name in OVER_RUN} | {
            "stream": lambda w: (*streamed(w)[:-3], w.work / "run", "--threads", "1")
        }
    # A running stream is asked to forget, and does: `tests/runs/test_asking.py`.
    refused = [name for name in OVER_STREAM if (scene.name, name) != ("stream", "forget")]
    return {name: NAMED[name].argv for name in refused} | {
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


def seconds(scene: Scene) -> list[Second]:
    """All that may come second."""
    return [
        Second(name=name, argv=argv, reads=reads)
        for reads, of_a_kind in ((False, writers(scene)), (True, readers(scene)))
        for name, argv in of_a_kind.items()
    ]


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
        # What those who read say of the run as it is afterwards: a class may have gone.
        self._after = {
            name: stage.commands.run(*argv(stage.world)) for name, argv in readers(scene).items()
        }

    def meet(self, coming: Sequence[Second], at: int) -> list[Met]:
        """Stop the first at a call and let others come, until one of them is first itself."""
        stage, scene = self._stage, self._scene
        stage.begin()
        first = stage.commands.run(*scene.argv(stage.world), at=at, mode=Mode.STOP)
        if first.pid is None:
            return []
        number = stage.commands.number
        found: list[Met] = []
        overtaken: Done | None = None
        for second in coming:
            done = stage.commands.run(*second.argv(stage.world))
            what, said = self._judged(second, done)
            found.append(Met(second=second.name, at=at, what=what, said=said))
            if found[-1].what == "before" and done.status == 0:
                overtaken = done
                break
        ended = stage.commands.go_on(first, number)
        if wrong := self._wrong_end(ended, overtaken is not None):
            return [*found[:-1], replace(found[-1], what="wrong", said=wrong)]
        return found

    def _judged(self, second: Second, done: Done) -> tuple[str, str]:
        """What came of a second command as long as the first is stopped, and what was wrong."""
        said = f"`edgetransfer {self._scene.argv(self._stage.world)[0]}` (process"
        if "Traceback" in done.said:
            return "wrong", done.said[-SAID:]
        if second.reads:
            after = self._after[second.name]
            right = done.status in (0, 1) or (done.status, done.error) == (
                after.status,
                after.error,
            )
            return ("read", "") if right else ("wrong", f"{done.status}: {done.said[-SAID:]}")
        if done.status == 1 and said in done.error:
            return "refused", ""
        # It was before the first had the folder, or what lies there is of another kind.
        of_its_kind = done.status in (1, 2) and "(process" not in done.error and bool(done.error)
        right = done.status == 0 or of_its_kind
        return ("before", "") if right else ("wrong", f"{done.status}: {done.said[-SAID:]}")

    def _wrong_end(self, ended: Done, overtaken: bool) -> str:
        """What is wrong about how the first ended; empty if nothing is."""
        if "Traceback" in ended.said:
            return f"the first: {ended.said[-SAID:]}"
        if overtaken:
            right = ended.status in (0, 1, 2)
            return "" if right else f"the first: {ended.status}: {ended.said[-SAID:]}"
        if ended.status != 0:
            return f"the first: {ended.status}: {ended.said[-SAID:]}"
        there = outcome(self._work, self._scene.makes)
        other = [
            name
            for name in sorted({*there, *self._alone})
            if there.get(name) != self._alone.get(name)
        ]
        return f"the first ended otherwise than alone: {', '.join(other)}" if other else ""


def places(calls: int, many: int, rng: random.Random) -> Sequence[int]:
    """Calls to be stopped at: one in each stretch."""
    many = min(many, calls)
    return [
        rng.randint(calls * k // many + 1, max(calls * (k + 1) // many, 1)) for k in range(many)
    ]


def meetings(pairs: Pairs, coming: list[Second], each: int, rng: random.Random) -> Iterator[Met]:
    """All of them, until each pair has met so often while the first had the folder."""
    had: Counter[str] = Counter()
    drawn: list[int] = []
    for turn in range(4 * each):
        waiting = [second for second in coming if had[second.name] < each]
        if not waiting:
            return
        drawn = drawn or list(places(pairs.calls, each, rng))
        k = turn % len(waiting)
        for met in pairs.meet([*waiting[k:], *waiting[:k]], drawn.pop(0)):
            had[met.second] += met.what != "before"
            yield met


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--each", type=int, default=50, help="meetings of a pair")
    parser.add_argument("--only", action="append", help="with these commands first")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(folder=Path(folder))
        print(f"{'first':22} {'second':10} {' '.join(f'{end:>8}' for end in ENDS)}", flush=True)
        try:
            for name in (*OVER_RUN, *OVER_STREAM):
                if args.only is not None and name not in args.only:
                    continue
                coming = seconds(NAMED[name])
                counts: dict[str, Counter[str]] = {second.name: Counter() for second in coming}
                for met in meetings(Pairs(stage, NAMED[name]), coming, args.each, rng):
                    counts[met.second][met.what] += 1
                    done = sum(found[end] for found in counts.values() for end in ENDS)
                    if done % 20 == 0:
                        told = f"{name}: {done} meetings, {len(wrong)} wrong"
                        print(told, file=sys.stderr, flush=True)
                    if met.what == "wrong":
                        wrong.append(f"{name}, {met.second}, call {met.at}: {met.said}")
                        print(wrong[-1], file=sys.stderr, flush=True)
                for second, found in counts.items():
                    told = " ".join(f"{found[end]:8}" for end in ENDS)
                    print(f"{name:22} {second:10} {told}", flush=True)
        finally:
            stage.commands.close()
    if wrong:
        print("\n".join(["", *wrong]))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
