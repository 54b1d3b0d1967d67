"""Kills spread over all phases of a stream's life, and what became of its run each time.

    python -m tests.stream.kill_campaign [--kills 1000] [--seed 0] [--learner replay] [--only SCENE]

Each kill is at a moment of one phase (`stream_phases`): half of them before or in the midst of a
change of the disk, half anywhere, spread evenly and chosen at random. The command is then run
again, in every third case killed once more while it recovers, and to its end. What was
acknowledged must be there before anything is repeated (else it is *lost*), and the state that the
repeated commands lead to must be, bit for bit, that of a run that was not killed (else something
was learned *twice*, or *differs*), with a head that follows from it (else it is *stale*). Of a
learner on statistics the scores are left out: what a sample was taken for is a matter of time. A
table goes to stdout, and behind it of each fault what was found, in place of what, and what the
command itself said; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from edgetransfer.errors import EdgeTransferError
from edgetransfer.heads import LinearHead
from edgetransfer.stream import check, export, forget, rollback
from edgetransfer.stream.keeping.checkpoints import CheckpointFolder
from edgetransfer.stream.keeping.journal import segments
from edgetransfer.stream.keeping.recovery import look_leniently
from tests.stream.kill_scenes import (
    BACK,
    BEGUN,
    DARK,
    EACH,
    GONE,
    LEARNING,
    RARELY,
    Scene,
    learning,
    scenes,
)
from tests.stream.stream_children import Children
from tests.stream.stream_pictures import final_state, learned_state

FAULTS = ("lost", "twice", "differs", "stale", "refused")
SHOWN = 1000  # characters of what differs
AGAIN = "recovery after a kill"


@dataclass(kw_only=True)
class Tally:
    """What came of the kills of one phase."""

    moments: int = 0
    changes: int = 0
    kills: int = 0
    faults: Counter[str] = field(default_factory=Counter)


class Campaign:
    """Kills, in a folder of its own.

    Parameters
    ----------
    children
        Carries out commands.
    folder
        An empty one.
    """

    def __init__(
        self, children: Children, folder: Path, seed: int = 0, learner: str = "statistics"
    ) -> None:
        self.scenes = scenes(learner)
        self.tallies = {name: Tally() for name in (*(s.name for s in self.scenes), AGAIN)}
        self._learner = learner
        self._state_of = final_state if learner == "replay" else learned_state
        self._children = children
        self._folder = folder
        self._run = folder / "run"
        self._rng = random.Random(seed)
        self._make()

    def kill(self, scene: Scene, kills: int) -> Iterator[str]:
        """So many kills in a scene; yields a line for each fault."""
        self._begin(scene)
        assert self._do(scene.order, scene.phase) == 0, self._children.said()
        moments, changes = self._counted(scene.phase)
        tally = self.tallies[scene.name]
        tally.moments, tally.changes = moments, len(changes)
        expected = self._look()
        starts = self._moments_of_a_start(scene)
        for number in range(kills):
            of: Sequence[int] = changes if number % 2 and changes else range(1, moments + 1)
            # One in each stretch of the phase, so that all of it has its turn.
            low, high = (len(of) * (number + k) // kills for k in (0, 1))
            at = self._rng.choice(of[low : max(high, low + 1)])
            self._begin(scene)
            if self._do(scene.order, scene.phase, at) != -signal.SIGKILL:
                continue
            tally.kills += 1
            fault = self._judge(scene, expected, starts if number % 3 == 0 else 0)
            if fault is not None:
                tally.faults[fault.partition(":")[0]] += 1
                yield f"{scene.name}, moment {at}: {fault}"

    # Runs to begin with

    def _make(self) -> None:
        (self._folder / "nothing").mkdir()
        for last in (20, 27, BEGUN):
            order = learning(last, RARELY, self._learner)
            assert self._do(order) == 0, self._children.said()
        CheckpointFolder(self._run / "checkpoints").names()[-1].unlink()  # the journal has it
        self._keep("begun")
        self._damage()
        self._keep("damaged")
        for name, change in (
            ("undone", lambda: rollback(self._run, BACK["to"])),
            ("unforgotten", lambda: forget(self._run, ids=GONE, classes=DARK)),
        ):
            self._fresh("begun")
            with patch("edgetransfer.runs.pending.finish"):  # as if killed before it
                change()
            self._keep(name)

    def _damage(self) -> None:
        """A torn tail, a broken checkpoint, ids and metrics with wrong bits, no head, leftovers."""
        run = self._run
        CheckpointFolder(run / "checkpoints").names()[-1].write_bytes(b"broken")
        with segments(run / "journal")[-1].open("ab") as file:
            file.write(b"ETR")
        for name in ("ids.bin", "metrics.jsonl"):
            if not (run / name).exists():  # statistics write few metrics
                continue
            content = bytearray((run / name).read_bytes())
            content[len(content) // 2] ^= 4
            (run / name).write_bytes(content)
        (run / "head.safetensors").unlink()
        (run / ".report.json.0123abcd.tmp").write_bytes(b"left")

    def _keep(self, name: str) -> None:
        shutil.copytree(self._run, self._folder / name)

    def _fresh(self, name: str) -> None:
        shutil.rmtree(self._run, ignore_errors=True)
        shutil.copytree(self._folder / name, self._run)
        (self._folder / "acks").unlink(missing_ok=True)

    # One kill

    def _begin(self, scene: Scene) -> None:
        self._fresh(scene.begins)

    def _do(self, order: dict[str, Any], phase: str = "", at: int = 0) -> int:
        extra = {"run": str(self._run), "phase": phase, "kill_at": at}
        files = {name: str(self._folder / name) for name in ("count", "acks")}
        self._children.start({**order, **extra, **files})
        return self._children.status()

    def _moments_of_a_start(self, scene: Scene) -> int:
        self._begin(scene)
        assert self._do(self._start(scene), "start") == 0, self._children.said()
        return self._counted("start")[0]

    def _start(self, scene: Scene) -> dict[str, Any]:
        """A start that learns nothing; no sample may leave the journal that is to be corrected."""
        seconds = RARELY if {"corrections", "asked"} & scene.order.keys() else EACH
        return learning(0, seconds, self._learner)

    def _counted(self, phase: str) -> tuple[int, list[int]]:
        """Moments of a phase in what was done last, and those that were changes of the disk."""
        moments, changes = json.loads((self._folder / "count").read_text())[phase]
        return moments, changes

    def _judge(self, scene: Scene, expected: dict[str, Any], starts: int) -> str | None:
        """What is wrong with the run after a kill; None if nothing is."""
        acks = self._folder / "acks"
        acknowledged = acks.read_text().splitlines() if acks.exists() else []
        if scene.begins == "begun" and scene.order["call"] == "learn":
            try:
                known = look_leniently(self._run).accepted
            except EdgeTransferError as error:
                return f"refused: {error}"
            if known < max(BEGUN, len(acknowledged)):
                return f"lost: {len(acknowledged)} acknowledged, {known} there"
        if starts:
            status = self._do(self._start(scene), "start", self._rng.randint(1, starts))
            self.tallies[AGAIN].kills += status == -signal.SIGKILL
            if status not in (0, -signal.SIGKILL):
                return self._refused("a start")
        if "corrections" in scene.order and (fault := self._uncorrected(scene, acknowledged)):
            return fault
        if self._do(scene.order) != 0:
            return self._refused("the command, run again")
        found = self._look()
        for fault, keys in (("stale", ("head",)), ("twice", ("counts",)), ("differs", found)):
            for key in keys:
                if found[key] != expected[key]:
                    there, due = (repr(look[key])[:SHOWN] for look in (found, expected))
                    return f"{fault}: {key} is {there}, not {due}"
        return None

    def _refused(self, what: str) -> str:
        return f"refused: {what}: {self._children.said()}"

    def _uncorrected(self, scene: Scene, acknowledged: Sequence[str]) -> str | None:
        """What was acknowledged as corrected and is not, before the command is repeated."""
        if self._do(self._start(scene)) != 0:
            return self._refused("a start")
        state = final_state(self._run)
        state = state.get("statistics", state)  # of two learners the exact one counts them
        for status in ("relabelled", "forgotten"):
            told = sum(line.startswith(status) for line in acknowledged)
            if state[status] < told:
                return f"lost: {told} {status}, {state[status]} there"
        return None

    def _look(self) -> dict[str, Any]:
        """All that must be as if nobody had been killed."""
        run, out = self._run, self._folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        state = self._state_of(run)
        saved = state.pop("head", b"")
        head = run / "head.safetensors"
        follows = not state["classes"] and not head.exists()
        if state["classes"]:
            export(run, out)
            exported = LinearHead.load(out / "head.safetensors")
            follows = exported.weights.tobytes() == LinearHead.load(head).weights.tobytes()
        names = (run / "labels.txt").read_text().splitlines()
        return {
            **state,
            "saved head": saved,
            "head": follows and names == state["classes"],
            "findings": check(run).findings,
            "left": sorted(p.name for p in run.iterdir() if p.name.startswith((".", "pending"))),
        }


def table(tallies: dict[str, Tally]) -> str:
    """What came of all kills."""
    head = f"{'phase':24} {'moments':>8} {'changes':>8} {'kills':>6} " + " ".join(
        f"{f:>8}" for f in FAULTS
    )
    lines = [head]
    for name, tally in tallies.items():
        counts = " ".join(f"{tally.faults[fault]:8}" for fault in FAULTS)
        lines.append(
            f"{name:24} {tally.moments or '':>8} {tally.changes or '':>8} {tally.kills:6} {counts}"
        )
    total = sum(tally.kills for tally in tallies.values())
    return "\n".join([*lines, f"{'all':24} {'':8} {'':8} {total:6}"])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    known = sorted({scene.name for learner in LEARNING for scene in scenes(learner)})
    parser.add_argument("--only", action="append", choices=known, help="these scenes alone")
    parser.add_argument("--learner", choices=[*LEARNING], default="statistics")
    args = parser.parse_args()
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        children = Children(Path(folder))
        work = Path(folder) / "campaign"
        work.mkdir()
        try:
            campaign = Campaign(children, work, args.seed, args.learner)
            chosen = [s for s in campaign.scenes if args.only is None or s.name in args.only]
            # About a third as many come to recovery after a kill.
            each = -(-args.kills * 3 // (4 * max(len(chosen), 1)))
            for scene in chosen:
                for fault in campaign.kill(scene, each):
                    faults.append(fault)
                    print(fault, file=sys.stderr, flush=True)
                print(
                    table({scene.name: campaign.tallies[scene.name]}), file=sys.stderr, flush=True
                )
            print("\n".join([table(campaign.tallies), *faults]), flush=True)
        finally:
            children.close()
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
