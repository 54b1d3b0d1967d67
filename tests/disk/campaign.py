"""Every command that writes, with the disk failing or the process dying at chosen calls.

    python -m tests.disk.campaign [--each 12] [--only NAME] [--mode NAME]

A command's calls that change the disk are counted in a first run. Then it is done again and again
on the same small world, and at one of its calls the process is killed, or the disk fails: once or
from then on (ENOSPC, EDQUOT), or nothing may be written there (EACCES). It must end with exit code
1 and a sentence that names a file, or be right in spite of it; leave no temporary file; what was
there before must be whole; and the command, given again, must lead to what it leads to otherwise.
A table goes to stdout, a line a fault to stderr; the exit code is 1 if there was a fault.
"""

from __future__ import annotations

import argparse
import errno
import random
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgetransfer.atomic import is_leftover
from edgetransfer.errors import EdgeTransferError
from tests.disk.commands import Done, Mode
from tests.disk.outcomes import leftovers, outcome, readable_state
from tests.disk.scenes import SCENES, Scene, Stage


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What befalls a command."""

    name: str
    mode: Mode
    error: int = 0


FAULTS = (
    Fault(name="kill", mode=Mode.KILL),
    Fault(name="full", mode=Mode.FULL, error=errno.ENOSPC),
    Fault(name="full once", mode=Mode.ONCE, error=errno.ENOSPC),
    Fault(name="quota", mode=Mode.FULL, error=errno.EDQUOT),
    Fault(name="denied", mode=Mode.ONCE, error=errno.EACCES),
)


class Trial:
    """A scene that is gone through with faults.

    Parameters
    ----------
    stage
        Where.
    """

    def __init__(self, stage: Stage, scene: Scene) -> None:
        self._stage = stage
        self._scene = scene
        self._work = stage.world.work
        stage.prepare(scene)
        self._old = outcome(self._work, scene.makes)
        self._old_run = self._run_state()
        done = stage.commands.run(*scene.argv(stage.world))
        assert done.status == 0, done.said
        assert done.calls > 0, "it writes nothing"
        self.calls = done.calls
        self._new = outcome(self._work, scene.makes)
        self._new_run = self._run_state()

    def places(self, many: int, rng: random.Random) -> Iterator[int]:
        """Calls to fail at: one in each stretch, so that all of the command has its turn."""
        many = min(many, self.calls)
        for number in range(many):
            low, high = (self.calls * (number + k) // many for k in (0, 1))
            yield rng.randint(low + 1, max(high, low + 1))

    def fail(self, fault: Fault, at: int) -> str | None:
        """What was wrong; None if nothing was, '' if the call was not reached."""
        stage, scene = self._stage, self._scene
        stage.begin()
        argv = scene.argv(stage.world)
        done = stage.commands.run(*argv, at=at, mode=fault.mode, error=fault.error)
        if fault.mode is Mode.KILL and done.status != -signal.SIGKILL:
            return ""
        if fault.mode is not Mode.KILL and (wrong := self._badly_ended(done)):
            return wrong
        try:
            state = self._run_state()
        except (EdgeTransferError, OSError) as error:
            return f"unreadable afterwards: {error}"
        if self._old_run and state not in (self._old_run, self._new_run):
            return "the run is neither the old one nor the new"
        for name, digest in outcome(self._work, scene.makes).items():
            of_a_run = scene.run is not None and name.startswith(scene.run)
            passing = of_a_run or ".partial" in name or is_leftover(Path(name).name)
            if not passing and digest not in self._whole(name):
                return f"{name}: neither the old file nor the new"
        if done.status == 0:
            return None
        again = stage.commands.run(*(scene.again or scene.argv)(stage.world))
        # Killed after all was done, the command may refuse to do it once more.
        done_before = "choose another" in again.error and self._is_new()
        if again.status != 0 and not done_before:
            return f"again: {again.status}: {again.error or again.said[-500:]}"
        found = outcome(self._work, scene.makes)
        if found != self._new:
            odd = [n for n in {*found, *self._new} if found.get(n) != self._new.get(n)]
            return f"again, and not the same: {', '.join(sorted(odd))}"
        left = [name for name in leftovers(self._work) if not name.startswith(("tmp/", "cache/"))]
        return f"left, after all: {left}" if left else None

    def _badly_ended(self, done: Done) -> str | None:
        if "Traceback" in done.said:
            return f"traceback: {done.said[-1500:]}"
        if done.status not in (0, 1):
            return f"exit code {done.status}: {done.error}"
        if done.status == 1 and not self._names_a_file(done.error):
            return f"names no file: {done.error or done.said[-300:]!r}"
        if left := leftovers(self._work):
            return f"left: {left}"
        if done.status == 0:
            found = outcome(self._work, self._scene.makes)
            for name in {*found, *self._new}:
                if found.get(name) != self._new.get(name) and Path(name).name not in done.said:
                    return f"ended well without a word of {name}"
        return None

    def _is_new(self) -> bool:
        return outcome(self._work, self._scene.makes) == self._new

    def _names_a_file(self, sentence: str) -> bool:
        return str(self._stage.folder) in sentence

    def _run_state(self) -> dict[str, str]:
        return {} if self._scene.run is None else readable_state(self._work, self._scene.run)

    def _whole(self, name: str) -> tuple[str | None, ...]:
        return (self._old.get(name), self._new.get(name))


def suits(scene: Scene, fault: Fault) -> bool:
    """Whether a command ends at all under a fault: who waits for room goes on for ever."""
    return not (scene.waits and fault.mode is Mode.FULL)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--each", type=int, default=12, help="faults of a kind for each command")
    parser.add_argument("--only", action="append", help="of these commands alone")
    parser.add_argument("--mode", action="append", help="of these kinds alone")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    faulty = 0
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(folder=Path(folder))
        kinds = [fault for fault in FAULTS if args.mode is None or fault.name in args.mode]
        head = " ".join(f"{fault.name:>10}" for fault in kinds)
        print(f"{'command':22} {'calls':>6} {head}  wrong", flush=True)
        try:
            for scene in SCENES:
                if args.only is not None and scene.name not in args.only:
                    continue
                trial = Trial(stage, scene)
                counts, wrong = [], 0
                for fault in kinds:
                    done = 0
                    for at in trial.places(args.each, rng) if suits(scene, fault) else ():
                        said = trial.fail(fault, at)
                        done += said != ""
                        if said:
                            wrong += 1
                            text = f"{scene.name}, {fault.name} at {at}: {said}"
                            print(text, file=sys.stderr, flush=True)
                    counts.append(done)
                faulty += wrong
                told = " ".join(f"{n:10}" for n in counts)
                print(f"{scene.name:22} {trial.calls:6} {told}  {wrong:5}", flush=True)
        finally:
            stage.commands.close()
    return int(faulty > 0)


if __name__ == "__main__":
    sys.exit(main())
