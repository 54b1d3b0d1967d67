"""Training what is left; needs torch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file, save_file

from edgetransfer.errors import EdgeTransferError
from edgetransfer.sparsify import sparsify
from edgetransfer.sparsify.refine import ViewStream
from edgetransfer.types import Preprocessing
from tests.sparsify.test_job import settings


@pytest.fixture
def even_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step takes as long on every machine: 1.8 seconds are some forty steps."""
    pytest.importorskip("torch")
    ticks = count()
    monkeypatch.setattr("edgetransfer.finetune.distill.monotonic", lambda: next(ticks) / 20)


def zeros_of(path: Path) -> dict[str, np.ndarray]:
    tensors = onnx.load(str(path)).graph.initializer
    return {t.name: onnx.numpy_helper.to_array(t) == 0 for t in tensors if len(t.dims) > 1}


@pytest.mark.usefixtures("even_clock")
def test_refinement_keeps_the_zeros_and_comes_closer(dense: Path, textures: Path) -> None:
    plain = settings(dense, textures, sparsity=0.8, out=dense.with_name("plain.onnx"))
    refined = replace(plain, out=dense.with_name("refined.onnx"), refine_minutes=0.03)
    before, after = sparsify(plain), sparsify(refined)
    error = {"before": before, "after": after}
    held = {k: r["features"]["held_out"]["relative_error"] for k, r in error.items()}
    assert held["after"] < held["before"]
    found = after["refinement"]
    assert found["steps"] > 0
    assert found["held_out_error"]["after"] < found["held_out_error"]["before"]
    assert after["pruned_layers_sparsity"] == before["pruned_layers_sparsity"]
    first, second = zeros_of(plain.out), zeros_of(refined.out)
    for name, zeros in first.items():
        np.testing.assert_array_equal(zeros, second[name])


@pytest.mark.usefixtures("even_clock")
def test_a_rate_that_undoes_the_reconstruction_is_left(
    dense: Path, textures: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Many times too high a rate, and still it ends nearer than it began."""
    monkeypatch.setattr("edgetransfer.finetune.distill.LEARNING_RATE", 0.05)
    with caplog.at_level("INFO", logger="edgetransfer"):
        report = sparsify(settings(dense, textures, sparsity=0.3, refine_minutes=0.1))
    assert "back to the best" in caplog.text
    error = report["refinement"]["held_out_error"]
    assert error["after"] < error["before"]


@pytest.mark.usefixtures("even_clock")
def test_an_interrupted_refinement_goes_on(dense: Path, textures: Path) -> None:
    asked = settings(dense, textures, refine_minutes=0.03)
    ticks = []

    def interrupt(stage: str, done: int, _total: int) -> None:
        if stage == "refining":
            ticks.append(done)
            if done:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sparsify(asked, progress=interrupt)
    folder = asked.out.with_name(f"{asked.out.name}.partial")
    assert (folder / "refine.safetensors").exists()
    assert not asked.out.exists()
    report = sparsify(asked, resume=True)
    assert report["refinement"]["steps"] > 0
    assert not folder.exists()


def before_rates(state: dict[str, np.ndarray]) -> None:
    """As checkpoints were before a rate was ever left."""
    state["progress"] = state["progress"][:5]


def stepped_back(state: dict[str, np.ndarray]) -> None:
    """As they are right after it was: the optimiser knows nothing yet."""
    state["progress"][6] = 0
    for name in [name for name in state if name.startswith(("first/", "second/"))]:
        del state[name]


@pytest.mark.usefixtures("even_clock")
@pytest.mark.parametrize("change", [before_rates, stepped_back])
def test_every_checkpoint_is_gone_on_with(
    dense: Path, textures: Path, change: Callable[[dict[str, np.ndarray]], None]
) -> None:
    asked = settings(dense, textures, refine_minutes=0.03)

    def interrupt(stage: str, done: int, _total: int) -> None:
        if stage == "refining" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sparsify(asked, progress=interrupt)
    kept = asked.out.with_name(f"{asked.out.name}.partial") / "refine.safetensors"
    state = load_file(kept)
    steps = state["progress"][1]
    change(state)
    save_file(state, kept)
    assert sparsify(asked, resume=True)["refinement"]["steps"] > steps


def test_without_torch_it_is_said_at_once(
    dense: Path, textures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    asked = settings(dense, textures, refine_minutes=1.0)
    with pytest.raises(EdgeTransferError, match="finetune"):
        sparsify(asked)
    assert not asked.out.exists()


def test_views_are_the_same_from_any_batch_on(textures: Path) -> None:
    photos = sorted(textures.iterdir())[:10]
    preprocessing = Preprocessing(size=16, resize=18)
    streams = [ViewStream(photos, preprocessing, seed=3, workers=w) for w in (1, 3)]
    first = streams[0].batches(0)
    next(first)
    np.testing.assert_array_equal(next(first), next(streams[1].batches(1)))
    for stream in streams:
        stream.close()
