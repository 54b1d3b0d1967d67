"""What is exported says what its run says, says it alone, and is refused where it would not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgetransfer import Classifier, export, train_linear
from edgetransfer.backbones import Backbone
from edgetransfer.cli.main import main
from edgetransfer.data import find_images
from edgetransfer.errors import BackboneError, EdgeTransferError, TakenError, UsageError
from edgetransfer.heads import Novelty
from edgetransfer.images import SUFFIXES
from edgetransfer.jobs.exporting import checking, job
from edgetransfer.runs import pending
from edgetransfer.stream import OnlineLearner, StreamSettings, run_stream
from edgetransfer.train.opened_run import open_run
from tests.graphs_made import tiny

FORMS: dict[str, tuple[str, dict[str, bool]]] = {
    "file": ("model.onnx", {}),
    "uint8": ("model.onnx", {"preprocessing_inside": True}),
    "folder": ("model", {}),
    "folder and file": ("model", {"merge_head": True}),
}


def predicted(run: Path, photos: Path) -> np.ndarray:
    files = sorted(find_images(photos / "test", suffixes=SUFFIXES))
    with Classifier.load(run, engine="onnxruntime", threads=1) as classifier:
        found = [
            dict(zip(p.classes, p.probabilities, strict=True)) for p in classifier.predict(files)
        ]
    return np.array([[row[name] for name in sorted(row)] for row in found])


@pytest.mark.parametrize("form", FORMS)
def test_an_export_predicts_as_its_run_wherever_it_is(
    form: str, run: Path, photos: Path, tmp_path: Path
) -> None:
    name, options = FORMS[form]
    (tmp_path / "made").mkdir()
    out = tmp_path / "made" / name
    report = export(run, out, **options)
    expected = predicted(run, photos)
    assert report["classes"] == 3
    assert report["zeros"] == 8 * 27 // 2
    assert report["verified"]["on"] == "16 of its own photos"
    assert max(report["verified"]["difference"].values()) <= 1e-4
    assert report["files"] == sorted(
        path.name for path in (out if out.is_dir() else out.parent).iterdir()
    )
    # Given away: nothing of the run, its backbone or its photos is where it was.
    given = tmp_path / "given"
    shutil.move(tmp_path / "made", given)
    shutil.rmtree(run)
    test = tmp_path / "kept"
    shutil.move(photos / "test", test / "test")
    shutil.rmtree(photos)
    assert open_run(given / name).backbone.sparsity == pytest.approx(0.5)
    np.testing.assert_allclose(predicted(given / name, test), expected, atol=1e-5)
    for path in given.rglob("*"):
        if path.is_file():
            assert str(tmp_path).encode() not in path.read_bytes(), path


def test_an_export_can_be_exported_again(run: Path, photos: Path, tmp_path: Path) -> None:
    expected = predicted(run, photos)
    export(run, tmp_path / "a.onnx", preprocessing_inside=True, unknown_below=0.4)
    export(tmp_path / "a.onnx", tmp_path / "b")
    export(tmp_path / "b", tmp_path / "c.onnx")
    np.testing.assert_allclose(predicted(tmp_path / "c.onnx", photos), expected, atol=1e-5)
    assert open_run(tmp_path / "b").unknown_below == 0.4
    assert open_run(tmp_path / "c.onnx").unknown_below == 0.4


def test_zeros_and_labels_stand_in_the_one_file(run: Path, tmp_path: Path, backbone: Path) -> None:
    export(run, tmp_path / "a.onnx")
    model = onnx.load(tmp_path / "a.onnx")
    onnx.checker.check_model(model, full_check=True)
    values = [numpy_helper.to_array(t) for t in model.graph.initializer]
    assert sum(int((v == 0).sum()) for v in values if v.ndim == 4) == 8 * 27 // 2
    assert Backbone.open(backbone).sparsity == Backbone.open(tmp_path / "a.onnx").sparsity
    (tensor,) = model.graph.input
    dims = [d.dim_param or d.dim_value for d in tensor.type.tensor_type.shape.dim]
    assert dims == ["n", 3, 32, 32]


@pytest.mark.parametrize("form", [{"batch": 1, "shuffle": True}, {"layout": "NHWC"}], ids=str)
def test_a_batch_that_is_built_in_stays_so(
    form: dict[str, object],
    photos: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """And pictures are not mixed: the graph reshapes them to a batch that is spelt out."""
    train_linear(
        backbone=tiny(size=32, sparsity=0.6, **form).save(tmp_path / "net.onnx"),
        data=photos,
        out=tmp_path / "run",
        cache_dir=tmp_path / "cache",
        engine="onnxruntime",
        threads=1,
        l2=1e-3,
    )
    capfd.readouterr()
    export(tmp_path / "run", tmp_path / "a.onnx")
    assert "onnxruntime" not in capfd.readouterr().err
    dims = onnx.load(tmp_path / "a.onnx").graph.input[0].type.tensor_type.shape.dim
    assert (dims[0].dim_value == 1) == ("batch" in form)
    np.testing.assert_allclose(
        predicted(tmp_path / "a.onnx", photos), predicted(tmp_path / "run", photos), atol=1e-5
    )


def stream_settings(photos: Path, backbone: Path, out: Path) -> StreamSettings:
    return StreamSettings(
        backbone=str(backbone),
        source=f"folder:{photos / 'train'}",
        out=str(out),  # type: ignore[arg-type]
        engine="onnxruntime",
        threads=1,
        once=True,
    )


def test_a_stream_is_exported_as_it_stands(photos: Path, backbone: Path, tmp_path: Path) -> None:
    out = tmp_path / "stream"
    run_stream(stream_settings(photos, backbone, out))
    for name in ("a.onnx", "a"):
        report = export(out, tmp_path / name)
        assert report["learned"] == 60
        np.testing.assert_allclose(
            predicted(tmp_path / name, photos), predicted(out, photos), atol=1e-5
        )


def test_a_stream_is_exported_while_it_runs(photos: Path, backbone: Path, tmp_path: Path) -> None:
    out = tmp_path / "stream"
    with OnlineLearner(stream_settings(photos, backbone, out)) as learner:
        for path in sorted(find_images(photos / "train", suffixes=SUFFIXES)):
            learner.learn(path, path.parent.name, id=path.name + path.parent.name)
        learner.durable.save()
        report = export(out, tmp_path / "a.onnx")
        assert report["learned"] == learner.durable.learner.counts.learned > 0
        files = sorted(find_images(photos / "test", suffixes=SUFFIXES))
        with Classifier.load(tmp_path / "a.onnx", engine="onnxruntime") as classifier:
            assert [p.classes[0] for p in classifier.predict(files)] == [
                next(iter(learner.predict(path))) for path in files
            ]


def test_a_graph_that_says_something_else_is_not_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = job.merged

    def swapped(*given: object, **options: object) -> onnx.ModelProto:
        model = right(*given, **options)  # type: ignore[arg-type]
        (weights,) = (t for t in model.graph.initializer if t.name.endswith("/weights"))
        turned = numpy_helper.to_array(weights)[:, ::-1].copy()
        weights.CopyFrom(numpy_helper.from_array(turned, weights.name))
        return model

    def filled(*given: object, **options: object) -> onnx.ModelProto:
        model = right(*given, **options)  # type: ignore[arg-type]
        (weights,) = (t for t in model.graph.initializer if len(t.dims) == 4)
        values = numpy_helper.to_array(weights).copy()
        values[values == 0] = 1e-9
        weights.CopyFrom(numpy_helper.from_array(values, weights.name))
        return model

    for wrong, said in ((swapped, "numbers that differ"), (filled, "0 are zero in the")):
        monkeypatch.setattr(job, "merged", wrong)
        for name in ("a.onnx", "a"):
            with pytest.raises(EdgeTransferError, match=said):
                export(run, tmp_path / name, merge_head=True)
            assert not (tmp_path / name).exists()
    assert not (tmp_path / "predict_onnx.py").exists()


@pytest.mark.parametrize("spread", [1, 1000])
def test_classes_may_be_far_apart_in_the_metric_of_the_unknown(run: Path, spread: float) -> None:
    """As of fewer photos than features: distances are small differences of large squares."""
    opened = open_run(run)
    evidence = checking.evidence_of(opened)
    evidence = replace(evidence, pixels=evidence.pixels[[0, 7, 15]])
    images = evidence.normalised(opened.backbone)
    features = opened.head.map(checking.features_in("onnxruntime", opened.backbone, images, opened))
    axes = np.random.default_rng(0).standard_normal((features.shape[1], 100)).astype(np.float32)
    axes *= spread / np.abs((features - features.mean(axis=0)) @ axes).max()
    centre = features.mean(axis=0) @ axes
    novelty = Novelty(
        axes=axes,
        centre=centre,
        prototypes=features @ axes - centre,
        nearer=np.full(3, 3, np.float32),
        threshold=0.5,
    )
    told = replace(opened, head=replace(opened.head, novelty=novelty))
    model = job.merged(opened.backbone, told.head)
    assert checking.check_whole(model, told, evidence, inside=False) < 1e-4
    turned = replace(told, head=replace(told.head, novelty=replace(novelty, centre=centre[::-1])))
    with pytest.raises(EdgeTransferError, match="what tells the unknown"):
        checking.check_whole(model, turned, evidence, inside=False)


def test_what_is_there_is_never_replaced(run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "predict_onnx.py").write_text("mine")
    for name in ("a.onnx", "full", "other/b.onnx", "no/such/c.onnx", "run"):
        with pytest.raises(TakenError):
            export(run, tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == b"mine"
    assert (tmp_path / "other" / "predict_onnx.py").read_text() == "mine"
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_folder_that_was_cut_off_is_made_by_the_next_call(
    cut: str, run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it is there or none: a kill before it counts leaves nothing in the way."""
    out = tmp_path / "given"

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    step = "_encoded" if cut == "before" else "finish"
    with monkeypatch.context() as patch:
        patch.setattr(pending, step, kill)
        patch.setattr(pending.Staged, "__exit__", lambda *_: None)  # as a kill would
        with pytest.raises(Killed):
            export(run, out)
    assert not (out / "config.toml").exists()
    if cut == "before":
        export(run, out)
    else:
        with pytest.raises(TakenError, match="holds a run already"):
            export(run, out)
    np.testing.assert_allclose(predicted(out, photos), predicted(run, photos), atol=1e-5)
    assert not any(path.name.startswith((".", "pending")) for path in out.iterdir())


def test_what_cannot_be_exported_or_predicted_by_is_said(
    run: Path, backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="0 to 1"):
        export(run, tmp_path / "a.onnx", unknown_below=1.5)
    with pytest.raises(BackboneError, match="no classifier that"):
        export(backbone, tmp_path / "a.onnx")
    assert main(["predict", str(backbone), str(backbone)]) == 3
    assert "no classifier that `edgetransfer export` wrote" in capsys.readouterr().err
    (run / "report.json").unlink()
    assert main(["export", str(run), "-o", str(tmp_path / "a")]) == 1
    assert "not finished" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_the_command_says_what_it_compared(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(photos)
    assert main(["export", str(run), "-o", str(tmp_path / "a"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["verified"]["on"].startswith("random pixels")
    card = (tmp_path / "a" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: edgetransfer\n")
    assert "blue, green, red" in card
    assert main(["export", str(run), "-o", str(tmp_path / "b.onnx"), "-q"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_in_every_engine_there_is(run: Path, tmp_path: Path) -> None:
    verified = export(run, tmp_path / "a.onnx")["verified"]
    assert "onnxruntime" in verified["difference"]
    assert max(verified["difference"].values()) <= 1e-4


@pytest.mark.parametrize("ending", job.ELSEWHERE)
def test_a_form_that_others_make_is_answered_by_the_way_there(ending, run, tmp_path):
    with pytest.raises(UsageError, match=r"export to .*pets\.onnx; "):
        export(run, tmp_path / f"pets{ending}")
    assert not list(tmp_path.glob("pets*"))
