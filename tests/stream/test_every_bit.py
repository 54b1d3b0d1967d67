"""Every bit of every file of a small run, turned over: found and named, or without effect.

The run has two checkpoints, two segments, a head, ids, metrics, predictions and all else that a
stream leaves, in ten kilobytes. Sealed files are read with each of their bits turned; the whole
run is checked and opened with each bit of the others, and with every
97th of those.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgetransfer.engines import FakeEngine
from edgetransfer.errors import HeadError
from edgetransfer.heads import LinearHead
from edgetransfer.stream import FeatureSource, OnlineLearner, checking
from edgetransfer.stream import learner as online_learner
from edgetransfer.stream.keeping import in_hand
from edgetransfer.stream.keeping.checkpoints import read_checkpoint
from edgetransfer.types import Preprocessing
from tests.stream.stream_pictures import final_state, label_of, picture, settings_for
from tests.stream.test_damage import files, judge
from tests.test_sealing import flipped

SMALL = {"pool_bytes": 60, "window": 4}
LEARNING: dict[str, dict[str, Any]] = {
    "replay": {**SMALL, "batch_size": 1, "replay": 1, "reservoir_bytes": 200, "refit_every": 2},
    "statistics": {**SMALL, "learner": "statistics"},
}
KEEPING = {"checkpoint_seconds": 1e9, "checkpoints": 2}
SIDE = 8
PARTS = (
    *("acknowledged", "checkpoints/0", "checkpoints/1", "config.toml", "head.safetensors"),
    *("ids.bin", "in-hand.bin", "journal/0", "journal/1", "labels.txt", "metrics.jsonl"),
    *("predictions.jsonl", "report.json"),
)


def learner(run: Path, name: str) -> OnlineLearner:
    engine = FakeEngine(batch_size=2, size=SIDE, cells=1)
    feature_source = FeatureSource.of_engine(engine, Preprocessing(size=SIDE, resize=SIDE))
    settings = settings_for("", run, keeping=KEEPING, learning=LEARNING[name])
    return OnlineLearner(settings, feature_source=feature_source)


class Small:
    """A small run, and copies of it with one bit turned."""

    def __init__(self, folder: Path, name: str) -> None:
        self.copy = folder / "copy"
        run = folder / "run"
        with learner(run, name) as stream:
            for i in range(9):
                stream.learn(picture(i), None if i == 3 else label_of(i), id=f"n{i}")
        stream = learner(run, name)
        for i in (9, 10):
            stream.learn(picture(i), label_of(i), id=f"n{i}")
        stream.durable._derived.save(stream.durable.learner)
        stream.close()
        self.learner = name
        self.contents = {name: (run / name).read_bytes() for name in files(run)}
        self._fresh()
        self.expected = self.opened(self.copy)

    def opened(self, run: Path) -> dict[str, Any]:
        """The state of a run after a start and a checkpoint, with its head."""
        with learner(run, self.learner) as stream:
            stream.durable.checkpoint()
        return {**final_state(run), "head": (run / "head.safetensors").read_bytes()}

    def named(self, part: str) -> str:
        """A file of the run; of several of a kind, by its number."""
        folder, _, number = part.rpartition("/")
        if not folder:
            return part
        return [name for name in self.contents if name.startswith(f"{folder}/")][int(number)]

    def turn(self, name: str, bit: int) -> Path:
        """Turn one bit of a file of a fresh copy."""
        self._fresh()
        (self.copy / name).write_bytes(flipped(self.contents[name], bit))
        return self.copy / name

    def _fresh(self) -> None:
        shutil.rmtree(self.copy, ignore_errors=True)
        for folder in ("checkpoints", "journal"):
            (self.copy / folder).mkdir(parents=True)
        for name, content in self.contents.items():
            (self.copy / name).write_bytes(content)


@pytest.fixture(scope="module", params=[*LEARNING])
def small(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Small:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_hand, "SLOTS", 4)
        return Small(tmp_path_factory.mktemp("small"), request.param)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes most of the time of so small a start, and has no part in its result."""
    monkeypatch.setattr(in_hand, "SLOTS", 4)
    for module in (online_learner, checking):
        monkeypatch.setattr(module, "blas_on_one_thread", contextlib.nullcontext)


def test_the_small_run_has_everything(small: Small) -> None:
    # Of statistics a line of metrics comes with the 256th sample.
    there = [part for part in PARTS if part != "metrics.jsonl" or small.learner == "replay"]
    assert sorted(small.named(part) for part in there) == sorted(small.contents)
    assert all(small.contents.values())
    assert small.expected["counts"]["accepted"] == 11
    assert (small.expected["counts"]["refits"] > 0) == (small.learner == "replay")


def unreadable_head(path: Path) -> bool:
    try:
        LinearHead.load(path)
    except HeadError:
        return True
    return False


SEALED: dict[str, Callable[[Path], bool]] = {
    "checkpoints/0": lambda path: read_checkpoint(path) is None,
    "checkpoints/1": lambda path: read_checkpoint(path) is None,
    "head.safetensors": unreadable_head,
}


@pytest.mark.parametrize(
    "part",
    [pytest.param(p, marks=[pytest.mark.slow] * p.startswith("checkpoints")) for p in SEALED],
)
def test_every_bit_of_a_sealed_file_is_found(small: Small, part: str, tmp_path: Path) -> None:
    content = small.contents[small.named(part)]
    path = tmp_path / Path(small.named(part)).name
    path.write_bytes(content)
    assert not SEALED[part](path)
    for bit in range(8 * len(content)):
        path.write_bytes(flipped(content, bit))
        assert SEALED[part](path), f"{part}, bit {bit}"


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_every_bit(small: Small, part: str) -> None:
    name = small.named(part)
    if part == "metrics.jsonl" and small.learner == "statistics":
        pytest.skip("it has none yet")
    step = 97 if part in SEALED else 1
    for bit in range(0, 8 * len(small.contents[name]), step):
        small.turn(name, bit)
        judge(small.copy, name, small.expected, small.opened)
