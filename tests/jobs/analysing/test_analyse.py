"""Networks looked at: pairs, one-shot pruning, and how they were trained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgetransfer.backbones import Backbone
from edgetransfer.cli.main import main
from edgetransfer.errors import BackboneError, DataError, UsageError
from edgetransfer.jobs.analysing import analyse
from edgetransfer.jobs.analysing.trainings import described
from edgetransfer.settings.analyse import AnalysisSettings
from edgetransfer.sparsify import Sparsification, sparsify
from edgetransfer.sparsify.at_once import pruned_at_once
from tests.graphs_made import noise, run, tiny
from tests.photos import write_photos

SIZE = {"size": 32, "resize": 36}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder / "train", 8, seed=0)
    write_photos(folder / "test", 6, seed=1)
    return folder


@pytest.fixture
def settings(photos: Path, tmp_path: Path) -> AnalysisSettings:
    first = tiny(size=32, width=16, classes=3).save(tmp_path / "first.onnx")
    return AnalysisSettings(
        networks=(str(first),),
        data=photos,
        solver="ridge",
        engine="onnxruntime",
        threads=1,
        cache_dir=tmp_path / "cache",
        tuning_images=20,
        **SIZE,
    )


def epoch(number: int, phase: str, **more: Any) -> dict[str, Any]:
    usual = {"epoch": number, "phase": phase, "sparsity": 0.5, "mask_change": None}
    return {**usual, "mask_iou": None, "top1": 0.5, **more}


def test_the_same_network_twice_agrees_and_another_does_not(
    settings: AnalysisSettings, tmp_path: Path
) -> None:
    model = onnx.load(settings.networks[0])
    model.doc_string = "the same network in another file"
    onnx.save(model, str(tmp_path / "copy.onnx"))
    tiny(size=32, width=4, classes=3, seed=3).save(tmp_path / "other.onnx")
    names = (*settings.networks, str(tmp_path / "copy.onnx"), str(tmp_path / "other.onnx"))
    report = analyse(replace(settings, networks=names))
    assert report["data"] is not None
    assert (report["data"]["tested_on"], report["data"]["tested"]) == ("test", 18)
    same, other, other_too = report["agreement"]
    assert (same["first"], same["second"]) == ("first", "copy")
    assert (same["agreement"], same["same_mistake"] in (1.0, None)) == (1.0, True)
    assert same["cross_entropy"] == pytest.approx(same["entropy"])
    assert other["cross_entropy"] > other["entropy"] + 1e-3
    assert {k: v for k, v in other.items() if k != "first"} == {
        k: pytest.approx(v) if isinstance(v, float) else v
        for k, v in other_too.items()
        if k != "first"
    }
    accuracies = [network["accuracy"] for network in report["networks"]]
    assert accuracies[0] == accuracies[1]


def test_pruned_at_once_is_what_sparsify_makes(tmp_path: Path) -> None:
    dense = tiny(size=32, width=16).save(tmp_path / "dense.onnx")
    asked = Sparsification(
        dense=str(dense), out=tmp_path / "sparse.onnx", method="magnitude", sparsity=0.6,
        engine="onnxruntime", threads=1, batch_size=4, **SIZE,
    )  # fmt: skip
    sparsify(asked)
    backbone = Backbone.open(dense, **SIZE)
    images = noise(4, 3, 32, 32)
    written = Backbone.open(asked.out, **SIZE)
    found = pruned_at_once(backbone, 0.6)
    assert np.allclose(run(found.frozen(4), images), run(written.frozen(4), images), atol=1e-6)
    assert found.identity != backbone.identity
    assert not np.allclose(run(found.frozen(4), images), run(backbone.frozen(4), images), atol=1e-3)


def test_one_shot_levels(settings: AnalysisSettings) -> None:
    pytest.importorskip("torch")
    report = analyse(replace(settings, one_shot="10,90"))
    (network,) = report["networks"]
    few, many = network["one_shot"]
    assert (few["sparsity"], many["sparsity"]) == (0.1, 0.9)
    for level in (few, many):
        for heads in (level["untuned"], level["tuned"]):
            assert 0 <= heads["kept_head"] <= 1
    # Colours of noise: what is pruned by a tenth still tells them.
    assert few["untuned"]["own_head"] >= many["untuned"]["kept_head"]
    assert analyse(replace(settings, one_shot="10,90")) == report


def test_what_is_tuned_has_the_statistics_of_training_views_alone(
    settings: AnalysisSettings, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    import edgetransfer.jobs.analysing.one_shot as module

    seen: list[Path] = []
    load = module.tuning_views

    def noted(sources: list[Path], *rest: Any, **more: Any) -> Any:
        seen.extend(sources)
        return load(sources, *rest, **more)

    monkeypatch.setattr(module, "tuning_views", noted)
    analyse(replace(settings, one_shot="50"))
    assert seen
    assert all(path.is_relative_to(photos / "train") for path in seen)


def test_without_a_split_to_test_on_a_fifth_is_held_out(
    settings: AnalysisSettings, tmp_path: Path
) -> None:
    write_photos(tmp_path / "plain", 10, seed=3)
    report = analyse(replace(settings, data=tmp_path / "plain"))
    assert report["data"] is not None
    assert (report["data"]["tested_on"], report["data"]["held_out"]) == ("val", 0.2)
    assert report["data"]["tested"] == 6


SAW = [
    epoch(1, "dense", memorised=0.5, true_class=0.3),  # no sparse phase before
    epoch(2, "sparse", mask_iou=None, memorised=0.9, true_class=0.0),  # not the phase's end
    epoch(3, "sparse", memorised=0.1, true_class=0.8),
    epoch(4, "dense", memorised=0.3, true_class=0.6),
    epoch(5, "dense", memorised=0.7, true_class=0.2),
    epoch(6, "sparse", mask_iou=0.6, mask_change=0.25, memorised=0.2, true_class=0.7),
    epoch(7, "sparse", mask_iou=1.0, mask_change=0.0, memorised=0.2, true_class=0.7),
    epoch(8, "dense", memorised=0.8, true_class=0.1),
    epoch(9, "sparse", mask_iou=0.8, mask_change=0.1, memorised=0.3, true_class=0.6),
]


def test_the_saw_tooth_by_hand() -> None:
    found = described("acdc", [SAW, [epoch(1, "dense")]])
    assert (found["masks"], found["mean_iou"]) == (2, pytest.approx(0.7))
    saw = found["saw_tooth"]
    assert saw is not None
    assert saw["phases"] == 2
    assert (saw["sparse"], saw["dense"]) == (pytest.approx(0.15), pytest.approx(0.75))
    assert (saw["step"], saw["truth"]) == (pytest.approx(0.6), pytest.approx(0.15 - 0.75))
    assert [e["leg"] for e in found["epochs"]] == ["training"] * 9 + ["twin"]
    plain = [{k: v for k, v in e.items() if k not in ("memorised", "true_class")} for e in SAW]
    assert described("acdc", [plain, []])["saw_tooth"] is None


def report_beside(network: Path, **changed: Any) -> None:
    made = {"policy": "acdc", "sha256": Backbone.open(network).sha256, "epochs": SAW, "twin": None}
    text = json.dumps({**made, **changed})
    network.with_name(f"{network.stem}.pretrain.json").write_text(text)


def test_a_training_is_shown_where_its_report_is_the_file_s(
    settings: AnalysisSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    network = Path(settings.networks[0])
    alone = replace(settings, data=None)
    with pytest.raises(UsageError, match=r"first\.onnx: no report.*give --data"):
        analyse(alone)
    report_beside(network, sha256="0" * 64)
    with pytest.raises(UsageError, match="no report"):
        analyse(alone)
    report_beside(network)
    (found,) = analyse(alone)["networks"]
    assert found["training"] is not None
    assert found["accuracy"] is None
    assert len(found["training"]["epochs"]) == 9
    assert main(["analyse", str(network), "--size", "32"]) == 0
    assert "+60.0 points" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"sha256": 3, "policy": "x"}', "null"])
def test_a_broken_report_is_named(settings: AnalysisSettings, text: str) -> None:
    network = Path(settings.networks[0])
    network.with_name("first.pretrain.json").write_text(text)
    with pytest.raises((DataError, UsageError), match="first"):
        analyse(replace(settings, data=None))


def test_a_training_that_is_not_finished(settings: AnalysisSettings, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from edgetransfer.pretrain.checkpoint import Progression, save_checkpoint

    out = tmp_path / "going.onnx"
    begun = Progression(settings={"policy": "acdc"}, inputs="", history=[SAW[:4], []])
    (tmp_path / "going.onnx.partial").mkdir()
    save_checkpoint(tmp_path / "going.onnx.partial", begun, {})
    alone = replace(settings, networks=(str(out),), data=None)
    (found,) = analyse(alone)["networks"]
    assert found["training"] is not None
    assert (found["training"]["finished"], len(found["training"]["epochs"])) == (False, 4)
    with pytest.raises(DataError, match="not finished"):
        analyse(replace(alone, data=settings.data))
    (tmp_path / "going.onnx.partial" / "checkpoint.safetensors").write_bytes(b"broken")
    with pytest.raises(DataError, match="checkpoint cannot be read"):
        analyse(alone)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"networks": ()}, "name a network"),
        ({"networks": ("a", "a")}, "named twice"),
        ({"one_shot": "50", "data": None}, "--one-shot"),
        ({"one_shot": "0"}, "--one-shot"),
        ({"tuning_images": 1}, "--tuning-images"),
    ],
)
def test_nonsense_is_refused(settings: AnalysisSettings, given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        replace(settings, **given)


def test_a_network_that_is_not_there(settings: AnalysisSettings) -> None:
    with pytest.raises(BackboneError, match="nowhere"):
        analyse(replace(settings, networks=("nowhere.onnx",)))
