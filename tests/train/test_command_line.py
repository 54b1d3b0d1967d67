"""The command that a page names makes the same training."""

from __future__ import annotations

import shlex
from pathlib import Path
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetransfer.cli.main import app
from edgetransfer.errors import UsageError
from edgetransfer.settings.finetune import FinetuneSettings
from edgetransfer.train import LinearTraining
from edgetransfer.train.command_line import command_line

CHANGES = {
    "mode": st.sampled_from(["cached", "online"]),
    "solver": st.sampled_from([None, "auto", "ridge", "lda", "lbfgs", "sgd"]),
    "recipe": st.sampled_from(["default", "paper"]),
    "epochs": st.integers(1, 300),
    "batch_size": st.integers(1, 200),
    "learning_rate": st.floats(1e-6, 10),
    "momentum": st.floats(0, 0.99),
    "l2": st.floats(1e-9, 10),
    "penalty": st.floats(1e-9, 10),
    "feature_map": st.sampled_from(["auto", "raw", "power-l2"]),
    "class_weights": st.sampled_from(["none", "balanced"]),
    "standardize": st.booleans(),
    "flip": st.booleans(),
    "seed": st.integers(0, 10**6),
    "val_fraction": st.floats(0, 0.9),
    "mean": st.tuples(*[st.floats(0, 300)] * 3),
    "size": st.integers(32, 600),
    "data": st.text(st.characters(exclude_characters="\0/"), min_size=1, max_size=12).map(
        lambda name: Path.cwd() / "folder" / f"x{name}"
    ),
    "engine": st.sampled_from(["auto", "onnxruntime"]),
}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.fixed_dictionaries({}, optional=CHANGES))
def test_it_is_read_as_it_was(changes):
    usual = {"backbone": "net", "data": Path.cwd() / "photos", "out": Path.cwd() / "runs" / "run"}
    try:
        wanted = LinearTraining(**{**usual, **changes})
    except UsageError:
        return  # what does not fit together
    words = shlex.split(command_line(wanted))
    assert words[0] == "edgetransfer"
    got = []
    with patch("edgetransfer.train.train_linear", lambda given, **_: got.append(given) or {}):
        app([*words[1:], "--json"], standalone_mode=False)
    (given_again,) = got
    here = wanted.out.parent

    def seen(training):
        config = training.to_config()
        for name in ("data", "out"):
            config[name] = str((here / getattr(training, name)).resolve())
        return config

    assert seen(given_again) == seen(wanted)


OWN = {
    "optimizer": st.sampled_from(["sgd", "adam"]),
    "refit_head": st.booleans(),
    "head_init": st.sampled_from(["linear", "kaiming"]),
    "only": st.sampled_from([None, "last-block"]),
    "label_smoothing": st.floats(0, 0.5),
    "mixup": st.floats(0, 2),
    "baseline": st.booleans(),
    "checkpointing": st.booleans(),
    "micro_batch": st.integers(1, 64),
    "mask": st.sampled_from(["other.onnx", "a b.onnx"]),
    "keep": st.sampled_from(["auto", "finetuned", "better"]),
}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.fixed_dictionaries({}, optional=OWN), st.integers(1, 99), st.floats(1e-5, 1))
def test_a_finetuning_too(changes, epochs, learning_rate):
    here = Path.cwd()
    try:
        own = FinetuneSettings(**changes)
        wanted = LinearTraining(
            backbone="net",
            data=here / "photos",
            out=here / "run",
            mode="online",
            solver="sgd",
            epochs=epochs,
            learning_rate=learning_rate,
        )
    except UsageError:
        return  # what does not fit together
    words = shlex.split(command_line(wanted, own))
    got = []

    def taken(training, given_own, **_):
        got.append((training, given_own))
        return {}

    with patch("edgetransfer.finetune.finetune", taken):
        app([*words[1:], "--json"], standalone_mode=False)
    ((training, given_own),) = got
    assert given_own == own
    assert (training.epochs, training.learning_rate) == (epochs, learning_rate)


def test_what_is_usual_is_left_out():
    usual = LinearTraining(backbone="net", data=Path("photos"), out=Path("run"))
    assert command_line(usual) == "edgetransfer train --backbone net --data ./photos --out run"
