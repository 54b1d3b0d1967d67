"""Statistics of batch-norm measured anew before a finetuning begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgetransfer import LinearTraining
from edgetransfer.errors import BackboneError
from edgetransfer.finetune import FinetuneSettings, finetune
from edgetransfer.train.sgd_training import SGDTraining
from tests.graphs_made import tiny

OWN = FinetuneSettings(precision="float32", batchnorm="tune", keep="finetuned")


@pytest.fixture
def settings(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LinearTraining:
    monkeypatch.setattr("edgetransfer.finetune.tuned_start.TUNING_IMAGES", 100)
    made = tiny(sparsity=0.6, head="none", size=32)
    return LinearTraining(
        report=False, backbone=str(made.save(tmp_path / "net.onnx")), data=photos,
        out=tmp_path / "run", epochs=1, batch_size=16, learning_rate=0.01,
        engine="onnxruntime", threads=1, cache_dir=tmp_path / "cache", size=32, resize=36,
    )  # fmt: skip


def spoiled(path: str, out: Path) -> str:
    """The same network with statistics that fit nothing."""
    model = onnx.load(path)
    statistics = {
        name
        for node in model.graph.node
        if node.op_type == "BatchNormalization"
        for name in node.input[3:5]
    }
    assert statistics
    for tensor in model.graph.initializer:
        if tensor.name in statistics:
            value = numpy_helper.to_array(tensor) * 7 + 3
            tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float32), tensor.name))
    onnx.save(model, str(out))
    return str(out)


def made(run: Path) -> tuple[bytes, bytes]:
    return (run / "backbone.onnx").read_bytes(), (run / "head.safetensors").read_bytes()


def test_what_statistics_were_before_does_not_matter(
    settings: LinearTraining, tmp_path: Path
) -> None:
    """Nor to the linear head that it is compared with; without tuning it does."""
    other = replace(
        settings, backbone=spoiled(settings.backbone, tmp_path / "spoiled.onnx"),
        out=tmp_path / "other",
    )  # fmt: skip
    reports = [finetune(each, OWN) for each in (settings, other)]
    networks = [onnx.load(str(each.out / "backbone.onnx")) for each in (settings, other)]
    weights = [[numpy_helper.to_array(t) for t in n.graph.initializer] for n in networks]
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))
    assert reports[0]["linear"] == reports[1]["linear"]
    assert reports[0]["final"] == reports[1]["final"]
    kept = replace(OWN, batchnorm="keep")
    finetune(settings, kept, overwrite=True)
    finetune(other, kept, overwrite=True)
    assert made(settings.out)[0] != made(other.out)[0]


@pytest.mark.slow
def test_a_resumed_run_has_the_same(
    settings: LinearTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(settings, checkpoint_seconds=0.0)
    whole = replace(settings, out=settings.out.with_name("whole"))
    finetune(whole, OWN)
    save = SGDTraining._save

    def interrupted(self: SGDTraining) -> None:
        save(self)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SGDTraining, "_save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            finetune(settings, OWN)
    finetune(settings, OWN, resume=True)
    assert made(settings.out) == made(whole.out)


def test_where_it_is_folded_there_is_nothing_to_tune(
    settings: LinearTraining, backbone: Path
) -> None:
    with pytest.raises(BackboneError, match=r"--batchnorm tune: .*no batch-norm of its own"):
        finetune(replace(settings, backbone=str(backbone)), OWN)
    assert not settings.out.exists()
