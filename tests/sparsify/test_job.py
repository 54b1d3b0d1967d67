"""Whole sparsifications of a small residual backbone."""

from __future__ import annotations

import json
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from edgetransfer.backbones import Backbone
from edgetransfer.cli.main import main
from edgetransfer.errors import BackboneError, DataError, EdgeTransferError, TakenError, UsageError
from edgetransfer.images import EvalTransform, decode_image, normalise, render
from edgetransfer.sparsify import Sparsification, sparsify
from edgetransfer.sparsify.result import report_path
from tests.graphs_made import noise, run, tiny
from tests.sparsify.conftest import SIZE, write_textures


def settings(dense: Path, textures: Path, **changes: object) -> Sparsification:
    base = Sparsification(
        dense=str(dense),
        out=dense.with_name("sparse.onnx"),
        calibration=textures,
        sparsity=0.6,
        views=2,
        engine="onnxruntime",
        threads=1,
        batch_size=4,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def _share_of_zeros(model: onnx.ModelProto) -> float:
    arrays = [numpy_helper.to_array(t) for t in model.graph.initializer]
    weights = [a for a in arrays if a.ndim in (2, 4)]
    return sum(int((w == 0).sum()) for w in weights) / sum(w.size for w in weights)


def test_a_residual_backbone_from_end_to_end(dense: Path, textures: Path) -> None:
    asked = settings(dense, textures)
    report = sparsify(asked)
    assert report["pruned_layers_sparsity"] == pytest.approx(0.6, abs=0.01)
    assert json.loads(report_path(asked.out).read_text())["sparsity"] == report["sparsity"]
    before, after = Backbone.open(dense), Backbone.open(asked.out)
    assert after.card.parent == before.sha256
    assert "reconstruct" in (after.card.pruning or "")
    assert after.preprocessing == before.preprocessing
    assert after.classifier is not None
    assert after.sparsity == pytest.approx(report["sparsity"])
    # The card stands beside the file, as of every other command, and not in it.
    assert tomllib.loads(asked.out.with_suffix(".toml").read_text())["sha256"] == after.sha256
    assert not list(onnx.load(str(asked.out)).metadata_props)
    assert after.card.sparsity_with_classifier == pytest.approx(
        _share_of_zeros(onnx.load(str(asked.out))), abs=1e-6
    )
    assert after.card.sparsity_with_classifier < after.card.sparsity
    for layer in report["layers"]:
        assert layer["error"]["held_out"] <= layer["error"]["magnitude_held_out"] + 1e-9
    assert report["speed"]["engine"] == "onnxruntime"
    assert not list(dense.parent.glob("*.partial"))


def test_reconstruction_is_ahead_of_magnitude_though_that_is_tuned(
    dense: Path, textures: Path
) -> None:
    pytest.importorskip("torch")
    asked = settings(dense, textures)
    report = sparsify(asked)
    magnitude = sparsify(replace(asked, method="magnitude", out=dense.with_name("magnitude.onnx")))
    assert magnitude["pruned_layers_sparsity"] == pytest.approx(0.6, abs=0.01)
    error = {
        name: r["features"]["held_out"]["relative_error"]
        for name, r in (("reconstruct", report), ("magnitude", magnitude))
    }
    assert error["reconstruct"] < 0.8 * error["magnitude"], "though batch-norm is tuned"
    untuned = sparsify(
        replace(asked, method="magnitude", calibration=None, out=dense.with_name("untuned.onnx"))
    )
    assert magnitude["batchnorm_tuning"]["views"] > 0
    assert untuned["batchnorm_tuning"] is None


def test_the_dense_file_is_not_changed_and_its_classifier_stays(
    dense: Path, textures: Path
) -> None:
    before = dense.read_bytes()
    asked = settings(dense, textures)
    sparsify(asked)
    assert dense.read_bytes() == before
    images = noise(2, 3, SIZE, SIZE)
    full = run(onnx.load(str(asked.out)), images)
    assert full.shape == run(onnx.load(str(dense)), images).shape


def test_the_same_seed_gives_the_same_file_and_another_does_not(
    dense: Path, textures: Path
) -> None:
    first = settings(dense, textures, out=dense.with_name("a.onnx"))
    second = replace(first, out=dense.with_name("a2.onnx"))
    third = replace(first, out=dense.with_name("a3.onnx"), seed=1)
    weights = []
    for asked in (first, second, third):
        sparsify(asked)
        model = onnx.load(str(asked.out))
        weights.append([t.raw_data for t in model.graph.initializer])
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


def test_an_interrupted_call_goes_on_to_the_same_result(dense: Path, textures: Path) -> None:
    whole = settings(dense, textures, out=dense.with_name("whole.onnx"))
    sparsify(whole)
    broken = replace(whole, out=dense.with_name("broken.onnx"))

    def interrupt(stage: str, done: int, _total: int) -> None:
        if stage == "pruning layers" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sparsify(broken, progress=interrupt)
    assert not broken.out.exists()
    seen = []
    sparsify(broken, resume=True, progress=lambda s, d, _t: seen.append((s, d)))
    assert ("pruning layers", 1) not in seen
    one, two = (onnx.load(str(s.out)) for s in (whole, broken))
    assert [t.raw_data for t in one.graph.initializer] == [
        t.raw_data for t in two.graph.initializer
    ]
    with pytest.raises(KeyboardInterrupt):
        sparsify(broken, overwrite=True, progress=interrupt)
    with pytest.raises(EdgeTransferError, match="other settings"):
        sparsify(replace(broken, sparsity=0.5), resume=True, overwrite=True)


@pytest.mark.parametrize("distribution", ["erk", "global"])
def test_distributions_keep_the_total(dense: Path, textures: Path, distribution: str) -> None:
    report = sparsify(settings(dense, textures, distribution=distribution))
    assert report["pruned_layers_sparsity"] == pytest.approx(0.6, abs=0.01)
    shares = {layer["sparsity"] for layer in report["layers"] if layer["prunable"]}
    assert len(shares) > 1


def test_n_of_m(dense: Path, textures: Path) -> None:
    asked = settings(dense, textures, sparsity=None, pattern="2:4")
    report = sparsify(asked)
    assert report["pruned_layers_sparsity"] == pytest.approx(0.5)
    layer = next(entry for entry in report["layers"] if entry["prunable"])
    tensors = {t.name: t for t in onnx.load(str(asked.out)).graph.initializer}
    weights = onnx.numpy_helper.to_array(tensors[layer["name"]])
    rows, channels, height, width = weights.shape
    blocks = (weights != 0).reshape(rows, channels // 4, 4, height, width).sum(axis=2)
    assert blocks.max() == 2


def test_a_target_speed_that_no_engine_here_reaches_is_named(dense: Path, textures: Path) -> None:
    asked = settings(dense, textures, sparsity=None, target_speedup=50)
    with pytest.raises(UsageError, match=r"not reached|cannot be reached"):
        sparsify(asked)
    assert not asked.out.exists()


def test_bad_input_is_named_and_nothing_is_written(
    dense: Path, textures: Path, tmp_path: Path
) -> None:
    asked = settings(dense, textures)
    with pytest.raises(DataError, match="no such folder"):
        sparsify(replace(asked, calibration=tmp_path / "nowhere"))
    with pytest.raises(DataError, match="at least"):
        sparsify(replace(asked, calibration=write_textures(tmp_path / "few", 3)))
    alike = tmp_path / "alike"
    alike.mkdir()
    for i in range(20):
        (alike / f"{i}.png").write_bytes((textures / "000.png").read_bytes())
    with pytest.raises(DataError, match="alike"):
        sparsify(replace(asked, calibration=alike))
    broken = write_textures(tmp_path / "broken", 30)
    for i in range(10):
        (broken / f"{i:03d}.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match="cannot be decoded"):
        sparsify(replace(asked, calibration=broken))
    sparse = tiny(size=SIZE, width=16, sparsity=0.7).save(tmp_path / "sparse_already.onnx")
    with pytest.raises(BackboneError, match="sparse already"):
        sparsify(replace(asked, dense=str(sparse)))
    with pytest.raises(TakenError, match="the file that is read"):
        sparsify(replace(asked, out=dense), overwrite=True)
    assert not asked.out.exists()
    assert not list(tmp_path.glob("*.partial"))


def test_settings_that_do_not_fit_together(dense: Path, textures: Path) -> None:
    asked = settings(dense, textures)
    for changes in (
        {"sparsity": 1.0},
        {"target_speedup": 2.0},
        {"pattern": "4:2", "sparsity": None},
        {"pattern": "2:4"},
        {"calibration": None},
        {"distribution": "even"},
        {"method": "guess"},
    ):
        with pytest.raises(UsageError):
            replace(asked, **changes)


def test_a_broken_photo_is_left_out(dense: Path, tmp_path: Path) -> None:
    folder = write_textures(tmp_path / "photos", 40)
    (folder / "005.png").write_bytes(b"nothing")
    report = sparsify(settings(dense, folder))
    assert report["calibration"]["photos"] == 39
    assert np.isfinite(report["feature_cosine"])


def test_the_command_prints_one_json_object(
    dense: Path, textures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["sparsify", str(dense), "--out", str(dense.with_name("cli.onnx"))]
    options = ["--calibration", str(textures), "--engine", "onnxruntime", "--threads", "1"]
    assert main([*arguments, *options, "--sparsity", "0.5", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report) >= {"sparsity", "layers", "feature_cosine", "speed", "seconds"}
    assert set(report["speed"]) >= {"dense", "sparse"}
    assert main([*arguments, *options]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*arguments, *options, "--overwrite"]) == 0
    assert "cosine" in capsys.readouterr().out
    assert main([*arguments, "--overwrite"]) == 2
    assert "--calibration" in capsys.readouterr().err


def test_upstream_accuracy_is_told_before_and_after(
    dense: Path, textures: Path, tmp_path: Path
) -> None:
    card = Backbone.open(dense).preprocessing
    classes = run(onnx.load(str(dense)), noise(1, 3, SIZE, SIZE)).shape[1]
    view = EvalTransform(size=card.size, resize=card.resize)
    shown = []
    for number, photo in enumerate(sorted(textures.iterdir())):
        folder = tmp_path / "labelled" / f"{number % classes:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, folder)
        picture = Image.fromarray(decode_image(photo))
        pixels = np.empty((3, SIZE, SIZE), np.float32)
        normalise(render(picture, view.view(*picture.size), picture.size, card), card, pixels)
        shown.append(pixels)
    asked = settings(
        dense, textures, method="magnitude", calibration=None, evaluate=tmp_path / "labelled"
    )
    upstream = sparsify(asked)["upstream"]
    labels = np.arange(len(shown)) % classes
    for name, path in (("dense", dense), ("sparse", asked.out)):
        best = run(onnx.load(str(path)), np.stack(shown)).argmax(axis=1)
        assert upstream[name]["n"] == len(shown)
        assert upstream[name]["top1"] == pytest.approx(np.mean(best == labels))
    assert upstream["sparse"]["backbone"]["sparsity"] > upstream["dense"]["backbone"]["sparsity"]
    elsewhere = replace(asked, out=tmp_path / "b.onnx", evaluate=tmp_path / "gone")
    with pytest.raises(DataError, match="no such folder"):
        sparsify(elsewhere)
    assert not list(tmp_path.glob("b.*"))
