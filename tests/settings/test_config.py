"""Settings in ``config.toml``: there and back, what differs, and the files of versions before."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from edgetransfer.errors import RunFolderError
from edgetransfer.settings.config import differs, dump, load
from edgetransfer.settings.finetune import FinetuneSettings
from edgetransfer.settings.learning import KeepingSettings, LearningSettings
from edgetransfer.settings.option import Opt, settings_of
from edgetransfer.settings.stream import StreamSettings
from edgetransfer.settings.train import LinearTraining
from tests.settings.test_options import LEAST, WITH, other

# As 0.1.0 wrote them, before settings had a room of their own.
TRAINING = """
backbone = "tinyresnet-90"
data = "/nowhere/photos"
out = "/nowhere/run"
mode = "online"
solver = "sgd"
recipe = "default"
epochs = 40
batch_size = 64
learning_rate = 0.001
momentum = 0.9
weight_decay = 0.0005
feature_map = "auto"
class_weights = "none"
standardize = false
min_crop = 0.08
flip = false
seed = 0
val_fraction = 0.2
max_bad = 0.05
metric = "auto"
engine = "auto"
threads = 2
mean = [0.5, 0.4, 0.3]
std = [0.2, 0.2, 0.2]
checkpoint_seconds = 120.0
"""
FINETUNING = """
optimizer = "sgd"
schedule = "cosine"
refit_head = false
head_init = "kaiming"
head_bias = true
only = "all"
layer_decay = 1.0
batchnorm = "keep"
teacher_weight = 0.5
temperature = 2.0
label_smoothing = 0.0
mixup = 0.2
normalise = "auto"
precision = "auto"
checkpointing = false
cached_frozen = false
device = "auto"
baseline = false
"""
LEARNING = """
batch_size = 8
replay = 8
replay_size = 64
learning_rate = 0.01
momentum = 0.9
weight_decay = 0.0005
views = 0
class_weights = false
reservoir_bytes = 67108864
refit_every = 1024
refit_rows = 4096
pool_bytes = 16777216
window = 1000
fading = 0.999
seed = 0
"""

KINDS: dict[type, dict[str, Any]] = {
    LinearTraining: {**LEAST[LinearTraining], "solver": "auto"},  # what None becomes is no default
    FinetuneSettings: {},
    LearningSettings: {},
    KeepingSettings: {},
}
EACH = pytest.mark.parametrize("kind", list(KINDS), ids=lambda kind: kind.__name__)


def variants(kind: type) -> list[tuple[str, Any, Any]]:
    """Each setting by its name, with settings that have it as usual and another way."""
    found = []
    for setting in settings_of(kind):
        if isinstance(setting.said, Opt) and setting.name not in KINDS[kind]:
            rest = {**KINDS[kind], **WITH.get((kind, setting.name), {})}
            found.append(
                (setting.name, kind(**rest), kind(**{**rest, setting.name: other(setting)}))
            )
    return found


@EACH
def test_a_table_is_read_as_it_was_written(kind: type, tmp_path: Path) -> None:
    for name, _usual, settings in variants(kind):
        table = tomllib.loads(tomli_w.dumps(dump(settings)))
        assert load(kind, table, tmp_path) == settings, name
        assert not any(isinstance(value, dict) for value in table.values()), "its keys are flat"


@EACH
def test_what_differs_is_named_unless_it_changes_nothing(kind: type) -> None:
    for name, usual, settings in variants(kind):
        (setting,) = (s for s in settings_of(kind) if s.name == name)
        before, now = dump(usual), dump(settings)
        found = differs(kind, now, before)
        if setting.said is not None and setting.said.free:
            assert found is None, name
        else:
            assert found is not None
            assert found.startswith(f"{name} was "), name
            assert differs(kind, now, before, free=[name]) is None
        assert differs(kind, now, now) is None


@EACH
def test_what_a_table_of_before_lacks_is_as_by_default(kind: type) -> None:
    usual = dump(kind(**KINDS[kind]))
    for setting in settings_of(kind):
        if setting.name not in KINDS[kind]:
            without = {name: value for name, value in usual.items() if name != setting.name}
            assert differs(kind, usual, without) is None, setting.name


def test_free_on_resume_is_what_cannot_change_a_training() -> None:
    free = {s.name for s in settings_of(LinearTraining) if s.said is not None and s.said.free}
    assert free == {
        *("workers", "cache_dir", "out", "checkpoint_seconds", "max_bad", "metric", "recipe"),
        "report",
    }


def test_files_of_the_version_before_are_read_and_gone_on_with(tmp_path: Path) -> None:
    before = tomllib.loads(TRAINING)
    training = load(LinearTraining, before, tmp_path)
    assert training.mean == (0.5, 0.4, 0.3)
    assert training.out == Path("/nowhere/run")
    assert training.difference(before) is None
    # What there was then is as it was; settings may have come since.
    assert {**training.to_config(), **before} == training.to_config()
    before = tomllib.loads(FINETUNING)
    own = load(FinetuneSettings, before, tmp_path)
    assert own.difference(before) is None
    assert {**own.to_config(), **before} == own.to_config()
    learning = load(LearningSettings, tomllib.loads(LEARNING), tmp_path)
    assert {**dump(learning), **tomllib.loads(LEARNING)} == dump(learning)
    stream = StreamSettings(source="folder:in", out=tmp_path / "run", learning=learning, size=64)
    assert stream.to_config() == {
        "backbone": "efficientnet-lite0-192-50",
        "data": "folder:in",
        "out": str(tmp_path / "run"),
        "batch_size": 16,
        "seed": 0,
        "engine": "auto",
        "size": 64,
        "stream": dump(learning),
    }


def test_runs_from_before_a_setting_was_there_go_on() -> None:
    training = LinearTraining(data=Path("photos"), out=Path("run"), solver="lbfgs")
    older = training.to_config()
    for name in ("recipe", "metric"):
        del older[name]
    older |= {"learning_rate": 0.01, "solver": "lbfgs", "checkpoint_seconds": 20.0}
    assert training.difference(older) is None
    own = FinetuneSettings(batchnorm="keep", schedule="step")
    table = own.to_config()
    del table["head_bias"]
    assert own.difference({**table, "schedule": "auto"}) is None
    assert own.difference({**table, "mixup": 0.2}) == "mixup was 0.2 and is now 0.0"


@pytest.mark.parametrize("table", [{"flux": 1}, {"batch_size": 0}, {"engine": "abacus"}])
def test_a_table_of_another_version_is_said_to_be_one(table: dict[str, Any]) -> None:
    whole = {"data": "photos", "out": "run", **table}
    with pytest.raises(RunFolderError, match=r"run.*config\.toml is not of this version"):
        load(LinearTraining, whole, Path("run"))
