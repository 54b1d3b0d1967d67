"""Small pictures that a FakeEngine can tell apart, and runs made of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgetransfer.engines import FakeEngine
from edgetransfer.stream import FeatureSource, KeepingSettings, LearningSettings, StreamSettings
from edgetransfer.stream.keeping.checkpoints import CheckpointFolder
from edgetransfer.types import Preprocessing

SIDE = 16
PICTURES = 240
CLASSES = ("red", "green", "blue", "dark")
COLOURS = ((200, 60, 60), (60, 200, 60), (60, 60, 200), (30, 30, 30))


def picture(index: int) -> bytes:
    """A PNG of class ``index % 4``, its colour with noise of its own."""
    rng = np.random.default_rng(index)
    noise = rng.normal(0, 40, (SIDE, SIDE, 3)) + COLOURS[index % len(COLOURS)]
    buffer = io.BytesIO()
    Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def label_of(index: int) -> str:
    return CLASSES[index % len(CLASSES)]


def fake_feature_source(batch: int = 4) -> FeatureSource:
    engine = FakeEngine(batch_size=batch, size=SIDE)
    return FeatureSource.of_engine(engine, Preprocessing(size=SIDE, resize=SIDE))


def settings_for(source: str, out: Path, **others: Any) -> StreamSettings:
    """Small batches, refits soon, checkpoints all the time, a journal that rotates."""
    given = others.pop("learning", {})
    steps = {
        "batch_size": 8,
        "replay": 2,
        "replay_size": 8,
        "reservoir_bytes": 6000,
        "refit_every": 32,
        "l2": 1e-2,
    }
    learning = given if given.get("learner", "replay") == "statistics" else {**steps, **given}
    keeping = {
        "checkpoint_seconds": 0.02,
        "journal_bytes": 2**16,
        "flush_seconds": 1e9,  # a slow machine must not change a result
        **others.pop("keeping", {}),
    }
    return StreamSettings(
        backbone="fake",
        source=source,
        out=out,
        learning=LearningSettings(**learning),
        keeping=KeepingSettings(**keeping),
        engine_batch=others.pop("engine_batch", 4),
        workers=2,
        **others,
    )


def learned_state(run: Path) -> dict[str, Any]:
    """The same without scores: which head was the newest for a sample is a matter of time."""
    state = final_state(run)
    arrays = {k: v for k, v in state.pop("arrays").items() if "scores." not in k and k != "pairs"}
    for values in (state, state.get("statistics", {}), state.get("replay", {})):
        for name in ("drift", "stepped", "switches", "tested"):
            values.pop(name, None)
        if "last_time" in values.get("counts", {}):
            values["counts"] = {k: v for k, v in values["counts"].items() if k != "last_time"}
    head = run / "head.safetensors"
    return {**state, "arrays": arrays, "head": head.read_bytes() if head.exists() else b""}


def final_state(run: Path) -> dict[str, Any]:
    """Everything in the newest checkpoint that a clock has no part in, for comparison."""
    checkpoint = CheckpointFolder(run / "checkpoints").newest()
    assert checkpoint is not None
    values = dict(checkpoint.state.values)
    counts = {k: v for k, v in values.pop("counts").items() if k != "last_time"}
    arrays = {
        name: (array.dtype.str, array.shape, array.tobytes())
        for name, array in checkpoint.state.arrays.items()
    }
    return {**values, "counts": counts, "arrays": arrays}
