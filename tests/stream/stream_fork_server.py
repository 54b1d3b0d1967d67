"""Runs streams in forked children, so that killing two hundred of them takes a minute.

Reads one JSON object a line: ``source``, ``out``, ``acks`` (a file) and further settings. Answers
with the child's process id, and, asked by another line, with its exit status; until then the id
belongs to no other process.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path
from threading import Event

sys.path.insert(0, str(Path(__file__).parents[2]))

import sklearn.linear_model  # noqa: F401  (imported before the forks, not in each)
import threadpoolctl  # noqa: F401
import watchdog.observers  # noqa: F401

from edgetransfer.features import extractor
from edgetransfer.images import open_upright
from edgetransfer.runs.asking import FOLDER
from edgetransfer.stream import OnlineLearner, forget, rollback, run_stream
from edgetransfer.stream.asked import AskedChanges
from edgetransfer.stream.http import HttpSource  # noqa: F401
from edgetransfer.stream.keeping import in_hand
from tests.stream.stream_faults import kill_before
from tests.stream.stream_phases import Moments
from tests.stream.stream_pictures import fake_feature_source, label_of, picture, settings_for


def call(order: dict[str, object]) -> int:
    """Run a command of a run, killed at its n-th moment or change of the disk, or traced."""
    run, count, kill_at = Path(str(order["run"])), Path(str(order["count"])), order["kill_at"]
    what = str(order["call"])
    if order.get("traced"):
        os.kill(os.getpid(), signal.SIGSTOP)  # until a tracer has come
        carry_out(what, run, order)
    elif "phase" in order:
        moments = Moments(str(order["phase"]), int(str(kill_at)), count)
        with moments.during(what):
            carry_out(what, run, order)
        moments.write()
    else:
        kill_before(int(str(kill_at)), count)
        carry_out(what, run, order)
    return 0


def carry_out(what: str, run: Path, order: dict[str, object]) -> None:
    if what == "rollback":
        rollback(run, str(order["to"]))
    elif what == "forget":
        forget(run, ids=frozenset(order["ids"]), classes=frozenset(order["classes"]))  # type: ignore[call-overload]
    else:
        settings = settings_for("", run, **dict(order["settings"]))  # type: ignore[call-overload]
        learner = OnlineLearner(settings, feature_source=fake_feature_source())
        for i in range(*order["pictures"]):  # type: ignore[misc]
            learner.learn(picture(i), label_of(i), id=f"n{i}")
            acknowledged(Path(str(order["acks"])), f"n{i}")
        for ids, label in dict(order.get("corrections", {})).values():  # type: ignore[call-overload]
            correct(learner, ids, label, Path(str(order["acks"])))
        if "asked" in order:
            do_asked(learner, run, json.dumps(order["asked"]))
        learner.durable.save()
        learner.close()


def correct(learner: OnlineLearner, ids: list[str], label: str | None, acks: Path) -> None:
    """Give samples another label, or without one forget them; what was done is acknowledged."""
    durable = learner.durable
    receipts = durable.forget(ids) if label is None else durable.relabel(ids, label)
    for receipt in receipts:
        if receipt.status in ("relabelled", "forgotten"):
            acknowledged(acks, f"{receipt.status} {receipt.id}")


def do_asked(learner: OnlineLearner, run: Path, request: str) -> None:
    """Do what another process asks for, which has left it in the run's letter box."""
    folder = run / FOLDER
    folder.mkdir(exist_ok=True)
    (folder / "0.json").write_text(request)
    AskedChanges(learner).do()
    shutil.rmtree(folder, ignore_errors=True)


def acknowledged(acks: Path, sample_id: str) -> None:
    with acks.open("a") as file:
        file.write(f"{sample_id}\n")


def child(order: dict[str, object]) -> int:
    if "call" in order:
        return call(order)
    if "deadly" in order:
        die_of(picture(int(str(order.pop("deadly")))), alone=bool(order.pop("alone")))
    acks = os.open(str(order.pop("acks")), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = settings_for(str(order.pop("source")), Path(str(order.pop("out"))), **order)
    run_stream(
        settings,
        feature_source=fake_feature_source(),
        stop=stop,
        acknowledge=lambda outcome: os.write(acks, json.dumps(outcome).encode() + b"\n") and None,
    )
    return 0


def die_of(photo: bytes, *, alone: bool) -> None:
    """Have the process end as soon as it decodes a photo, by itself too or in a stream only."""

    def decode(data: bytes, *args: object) -> object:
        if data == photo:
            os.kill(os.getpid(), signal.SIGKILL)
        return open_upright(data, *args)  # type: ignore[arg-type]

    extractor.open_upright = decode  # type: ignore[assignment]
    if alone:
        in_hand.survives_alone = lambda data: data != photo


def main() -> None:
    while line := sys.stdin.readline():
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = child(json.loads(line))
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        print(pid, flush=True)
        sys.stdin.readline()
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
