"""Training what is left; needs torch."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from edgetransfer.backbones import Backbone
from edgetransfer.errors import EdgeTransferError, UsageError
from edgetransfer.sparsify import sparsify
from edgetransfer.sparsify.refine import ViewStream
from edgetransfer.types import Preprocessing
from tests.sparsify.test_job import settings


def zeros_of(path: Path) -> dict[str, np.ndarray]:
    tensors = onnx.load(str(path)).graph.initializer
    return {t.name: onnx.numpy_helper.to_array(t) == 0 for t in tensors if len(t.dims) > 1}


def test_refinement_keeps_the_zeros_and_comes_closer(dense: Path, textures: Path) -> None:
    pytest.importorskip("torch")
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


def test_an_interrupted_refinement_goes_on(dense: Path, textures: Path) -> None:
    pytest.importorskip("torch")
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


def test_a_small_input_learns_what_a_large_one_shows(dense: Path, textures: Path) -> None:
    """Even without pruning to speak of: the small network comes closer to the large features."""
    pytest.importorskip("torch")
    size = Backbone.open(dense).preprocessing.size
    asked = settings(
        dense, textures, sparsity=0.05, size=size // 2, teacher_size=size, refine_minutes=0.05
    )
    found = sparsify(asked)["refinement"]
    assert found["teacher_size"] == size
    # At its own size alone it would be nearly perfect from the start.
    assert found["held_out_error"]["before"] > 0.01
    assert found["held_out_error"]["after"] < 0.9 * found["held_out_error"]["before"]
    assert Backbone.open(asked.out).preprocessing.size == size // 2


def test_a_teacher_that_sees_less_is_refused(dense: Path, textures: Path) -> None:
    size = Backbone.open(dense).preprocessing.size
    with pytest.raises(UsageError, match=f"--teacher-size {size - 8}.*{size} pixels"):
        sparsify(settings(dense, textures, teacher_size=size - 8, refine_minutes=1.0))
    with pytest.raises(UsageError, match="--refine"):
        settings(dense, textures, teacher_size=size)


def test_pictures_are_made_smaller_as_pillow_does_it() -> None:
    torch = pytest.importorskip("torch")
    from edgetransfer.finetune.distill import shrunk

    rng = np.random.default_rng(0)
    large = Image.fromarray(rng.integers(0, 256, (60, 60), np.uint8).astype(np.float32))
    wanted = np.asarray(large.resize((36, 36), Image.Resampling.BICUBIC))
    found = shrunk(torch.from_numpy(np.asarray(large)[None, None].copy()), 36)[0, 0].numpy()
    np.testing.assert_allclose(found, wanted, atol=0.5)
