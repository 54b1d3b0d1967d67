"""An option that is not given is the setting that is not given."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from edgetransfer.benchmark import BenchmarkSettings
from edgetransfer.cli import benchmark, finetune, sparsify, stream, train
from edgetransfer.cli.options import parse_bytes
from edgetransfer.defaults import DEFAULT_BACKBONE
from edgetransfer.finetune import FinetuneSettings
from edgetransfer.sparsify import Sparsification
from edgetransfer.stream import KeepingSettings, LearningSettings, StreamSettings
from edgetransfer.train import LinearTraining

PAIRS: tuple[tuple[Callable[..., None], tuple[type, ...]], ...] = (
    (train.train, (LinearTraining,)),
    (finetune.finetune, (LinearTraining, FinetuneSettings)),
    (benchmark.benchmark, (BenchmarkSettings,)),
    (sparsify.sparsify, (Sparsification,)),
    (stream.stream, (StreamSettings, LearningSettings, KeepingSettings)),
)
# Options whose text stands for a setting of another type: how it is read.
READ: dict[str, Callable[[Any], Any]] = {
    "l2": lambda text: None if text == "auto" else float(text),
    "penalty": lambda text: None if text == "auto" else float(text),
    "journal_bytes": lambda text: parse_bytes("", text),
    "max_body": lambda text: parse_bytes("", text),
    "memory": lambda text: parse_bytes("", text),
    "synthetic": lambda listed: tuple(listed or ()),
    "engines": lambda text: tuple(text.split(",")),
}


@pytest.mark.parametrize(("command", "settings"), PAIRS)
def test_defaults_stand_once(command: Callable[..., None], settings: tuple[type, ...]) -> None:
    options = inspect.signature(command).parameters
    compared = 0
    for kind in settings:
        for field in fields(kind):
            option = options.get(field.name)
            if option is None or option.default is inspect.Parameter.empty:
                continue
            wanted = DEFAULT_BACKBONE if field.name == "backbone" else field.default
            assert wanted is not MISSING, field.name
            given = READ.get(field.name, lambda value: value)(option.default)
            assert given == wanted, f"--{field.name} is {given}, {kind.__name__} has {wanted}"
            compared += 1
    assert compared > 10


def test_runs_of_before_go_on() -> None:
    """Settings that a run folder of an older version does not name are as they were then."""
    training = LinearTraining(
        backbone="tinyresnet-90", data=Path("photos"), out=Path("run"), solver="lbfgs"
    )
    older = {k: v for k, v in training.to_config().items() if v is not None}
    for name in ("recipe", "metric"):
        del older[name]
    older |= {"learning_rate": 0.01, "solver": "lbfgs", "checkpoint_seconds": 20.0}
    assert training.difference(older) is None
    own = FinetuneSettings(batchnorm="keep", schedule="step")
    table = own.to_config()
    del table["head_bias"]
    assert own.difference({**table, "schedule": "auto"}) is None
    assert own.difference({**table, "mixup": 0.2}) == "mixup was 0.2 and is now 0.0"
