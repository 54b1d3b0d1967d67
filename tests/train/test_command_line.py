"""The command that a page names makes the same training."""

from __future__ import annotations

import shlex
from pathlib import Path
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetransfer.cli.main import app
from edgetransfer.errors import UsageError
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


def test_what_is_usual_is_left_out():
    usual = LinearTraining(backbone="net", data=Path("photos"), out=Path("run"))
    assert command_line(usual) == "edgetransfer train --backbone net --data ./photos --out run"
