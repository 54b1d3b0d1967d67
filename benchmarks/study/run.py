"""Runs a plan of the study, a process a step; what is done is not done again.

python benchmarks/study/run.py PLAN --data DATA --out OUT               # go on with it
python benchmarks/study/run.py PLAN --data DATA --out OUT --background  # and come back
python benchmarks/study/run.py PLAN --data DATA --out OUT --list        # what it consists of
python benchmarks/study/run.py PLAN --data DATA --out OUT --status      # how far it is
python benchmarks/study/run.py PLAN --data DATA --out OUT --report      # what is found by now

A step that fails is said, and does not stop the others; the next call tries it again. However a run
ends, kill -9 included, the same call goes on: a network's training from its last checkpoint.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import strftime, time

from findings import write_findings
from planning import Plan, read_plan
from steps import Step, steps

from edgetransfer.atomic import write_atomically
from edgetransfer.errors import EdgeTransferError, UsageError
from edgetransfer.runs.owning import owned

NICE = 10
PATIENCE = 60.0  # seconds that an interrupted step has to save
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux


def main(arguments: list[str] | None = None) -> int:
    """Do what is asked; returns the exit code."""
    given = _parser().parse_args(arguments)
    try:
        plan = read_plan(given.plan)
        if given.list:
            for step in steps(plan, given.plan, given.data, given.out):
                print(f"{step.name:36} {' '.join(step.words)}")
            return 0
        _check_plan(plan, given.out)
        if given.status:
            print("\n".join(status(plan, given.plan, given.data, given.out)))
            return 0
        if given.report:
            print(write_findings(plan, given.out))
            return 0
        if given.background:
            return _in_background(given)
        with owned(given.out, "study"):
            write_atomically(given.out / "plan.toml", plan.text.encode())
            return run(plan, given.plan, given.data, given.out)
    except EdgeTransferError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("interrupted; the same call goes on", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("plan", type=Path, help="a TOML file, such as plan.toml beside this one")
    parser.add_argument("--data", type=Path, required=True, help="the folder of the data sets")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the study's runs")
    what = parser.add_mutually_exclusive_group()
    for name in ("list", "status", "report", "background"):
        what.add_argument(f"--{name}", action="store_true")
    return parser


def _check_plan(plan: Plan, out: Path) -> None:
    """A folder belongs to one plan: its results would be taken for those of another."""
    kept = out / "plan.toml"
    if kept.is_file() and kept.read_text(encoding="utf-8") != plan.text:
        raise UsageError(f"{out}: holds runs of another plan ({kept}); choose another --out")


def run(plan: Plan, plan_path: Path, data: Path, out: Path) -> int:
    """All steps that are not done; returns 1 if one failed.

    Comparisons are made of the networks that are there by then, so steps are listed anew each time.
    """
    with contextlib.suppress(OSError):
        os.nice(NICE)
    tried: set[str] = set()
    failed = 0
    while True:
        listed = steps(plan, plan_path, data, out)
        waiting = [step for step in listed if not step.is_done and step.name not in tried]
        if not waiting:
            break
        step = waiting[0]
        tried.add(step.name)
        print(f"{strftime('%H:%M:%S')}  {step.name} ({len(waiting)} to do)", flush=True)
        began = time()
        code = _call(step, out)
        failed += code != 0
        _note(out, step, code, time() - began)
        if code:
            print(f"{strftime('%H:%M:%S')}  {step.name} failed: {_log(out, step)}", flush=True)
            if step.name == "data":
                break
    print(write_findings(plan, out), flush=True)
    return 1 if failed else 0


def _call(step: Step, out: Path) -> int:
    log = _log(out, step)
    log.parent.mkdir(parents=True, exist_ok=True)
    step.leaves.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as said:
        process = subprocess.Popen(
            step.command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            preexec_fn=_end_with_the_runner if sys.platform == "linux" else None,
        )
        try:
            return process.wait()
        except BaseException:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            raise


def _end_with_the_runner() -> None:
    """A step whose runner was killed saves and ends, so that the next runner finds its folder free.

    Its priority is the runner's own.
    """
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGINT)


def _log(out: Path, step: Step) -> Path:
    return out / "logs" / f"{step.name.replace(' ', '_')}.log"


def _note(out: Path, step: Step, code: int, seconds: float) -> None:
    with (out / "steps.jsonl").open("a", encoding="utf-8") as notes:
        record = {"step": step.name, "code": code, "seconds": round(seconds, 1)}
        notes.write(json.dumps(record) + "\n")


def _notes(out: Path) -> dict[str, dict[str, float]]:
    """The last try of each step."""
    path = out / "steps.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    found = {}
    for line in lines:
        with contextlib.suppress(ValueError):  # one that was cut off
            record = json.loads(line)
            found[record["step"]] = record
    return found


def status(plan: Plan, plan_path: Path, data: Path, out: Path) -> Iterator[str]:
    """A line a step, and how long the rest may take."""
    listed, notes = steps(plan, plan_path, data, out), _notes(out)
    for step in listed:
        note = notes.get(step.name)
        said = "done" if step.is_done else "waits"
        if note and note["code"] and not step.is_done:
            said = f"failed: {_log(out, step)}"
        took = f"{note['seconds']:8.0f} s" if note and step.is_done else ""
        yield f"{step.name:36} {said} {took}".rstrip()
    trainings = [notes[s.name]["seconds"] for s in listed if s.is_done and s.name in notes]
    left = sum(not step.is_done for step in listed)
    yield f"{len(listed) - left} of {len(listed)} done"
    if trainings and left:
        minutes = left * sum(trainings) / len(trainings) / 60
        said = f"{minutes / 60:.1f} hours" if minutes > 90 else f"{minutes:.0f} minutes"
        yield f"about {said} to go, if the others take as long as those"


def _in_background(given: argparse.Namespace) -> int:
    given.out.mkdir(parents=True, exist_ok=True)
    words = [str(Path(__file__).resolve()), str(given.plan), "--data", str(given.data)]
    with (given.out / "study.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *words, "--out", str(given.out)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    print(
        f"process {process.pid}; its log is {given.out / 'study.log'}, --status says how far it is"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
