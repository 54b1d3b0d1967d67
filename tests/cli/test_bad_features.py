"""What no head can be learned from, by every way there is to learn one: a sentence, never a guess.

A table of ways by faults: each cell says how the command ends, and what it says of it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from edgetransfer.cli.main import main
from edgetransfer.heads import LinearHead, memory

pytestmark = pytest.mark.slow

CACHED = {
    f"cached {name}": ("train", "--solver", name)
    for name in ("auto", "ridge", "lda", "lbfgs", "sgd")
}
ONLINE = {
    "online": ("train", "--online", "--epochs", "2", "--batch-size", "4"),
    "online standardized": ("train", "--online", "--epochs", "2", "--standardize"),
}
STREAMS = {
    f"stream {name}": ("stream", "--once", "--learner", name)
    for name in ("statistics", "replay", "auto")
}
WAYS: dict[str, tuple[str, ...]] = {**CACHED, **ONLINE, **STREAMS}
NAMED = r"c1/3\.png"

# By fault: how training ends and what it says; then the same of a stream, and what it refuses.
FAULTS: dict[str, tuple[int, str, int, int]] = {
    "not finite": (3, rf"{NAMED}.*not finite", 0, 1),
    "none finite": (3, r"c\d/\d\.png.*not finite numbers \(nor for", 0, 18),
    "equal": (0, "", 0, 0),
    "one class": (3, "only one class", 0, 0),
    "one photo": (3, "only one class", 0, 0),
    "one each": (0, "", 0, 0),
    "none": (3, "photos|images|empty", 0, 0),
}


def dividing(path: Path) -> Path:
    """A backbone whose features of an all black photo are 0 / 0."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(8, 3, 3, 3)).astype(np.float32)
    weights.reshape(-1)[::2] = 0
    node = helper.make_node
    graph = helper.make_graph(
        [
            node("Conv", ["x", "w"], ["c"], kernel_shape=[3, 3], strides=[2, 2]),
            node("Relu", ["c"], ["r"]),
            node("GlobalAveragePool", ["r"], ["p"]),
            node("Flatten", ["p"], ["f"]),
            node("ReduceMean", ["x"], ["m"], axes=[1, 2, 3], keepdims=0),
            node("Reshape", ["m", "column"], ["s"]),
            node("Div", ["s", "s"], ["one"]),
            node("Mul", ["f", "one"], ["y"]),
        ],
        "dividing",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8])],
        [
            numpy_helper.from_array(weights, "w"),
            numpy_helper.from_array(np.array([-1, 1]), "column"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, str(path))
    return path


def draw(
    folder: Path, classes: int, n: int, pixels: Callable[[int, int], Any] | None = None
) -> Path:
    rng = np.random.default_rng(1)
    for c in range(classes):
        (folder / f"c{c}").mkdir(parents=True)
        for i in range(n):
            shown = np.clip(rng.normal(60 + 50 * c, 40, (40, 40, 3)), 1, 255)
            if pixels is not None and (given := pixels(c, i)) is not None:
                shown = np.full((40, 40, 3), given)
            Image.fromarray(shown.astype(np.uint8)).save(folder / f"c{c}" / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("faults")
    dividing(home / "net.onnx")
    draw(home / "not finite", 3, 6, lambda c, i: 0 if (c, i) == (1, 3) else None)
    draw(home / "none finite", 3, 6, lambda *_: 0)
    draw(home / "equal", 3, 6, lambda *_: 90)
    draw(home / "one class", 1, 6)
    draw(home / "one photo", 1, 1)
    draw(home / "one each", 3, 1)
    draw(home / "fine", 3, 6)
    (home / "none" / "c0").mkdir(parents=True)
    return home


def given(home: Path, way: tuple[str, ...], data: Path, out: Path, *more: str) -> list[str]:
    reading = ["--backbone", str(home / "net.onnx"), "--size", "32", "--resize", "32"]
    reading += ["--mean", "0,0,0", "--std", "1,1,1", "--engine", "onnxruntime", "--threads", "1"]
    source = ["--source", f"folder:{data}"] if way[0] == "stream" else ["--data", str(data)]
    cache = ["--cache-dir", str(home / "cache")] if way[0] == "train" else []
    return [*way, *source, *reading, *cache, "--out", str(out), "--json", *more]


def ended(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> tuple[int, str, Any]:
    """Exit code, what it said, and its report."""
    capsys.readouterr()
    code = main(arguments)
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    lines = said.out.splitlines()
    return code, said.err, json.loads(lines[-1]) if lines else None


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("way", WAYS)
def test_every_fault_by_every_way(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str, fault: str
) -> None:
    code, says, stream_code, refuses = FAULTS[fault]
    arguments = given(home, WAYS[way], home / fault, tmp_path / "run")
    found, said, report = ended(capsys, arguments)
    if way in STREAMS:
        assert found == stream_code, said
        assert report["refused"] == refuses
        if fault == "not finite":
            assert "c1/3.png" in (tmp_path / "run" / "skipped.jsonl").read_text()
    else:
        assert found == code, said
        assert re.search(says, said, re.DOTALL), said
    head = tmp_path / "run" / "head.safetensors"
    if found or (way in STREAMS and not report["learned"]):
        assert not head.exists()
        return
    fitted = LinearHead.load(head)
    assert np.isfinite(fitted.weights).all()
    assert np.isfinite(fitted.bias).all()
    if fault == "equal":  # it must not be sure of what nobody can tell
        photo = home / "equal" / "c1" / "0.png"
        _, _, told = ended(capsys, ["predict", str(tmp_path / "run"), str(photo), "--json"])
        assert max(told["predictions"][0]["probabilities"]) < 0.9
    if way in STREAMS and report["left_out"] is not None:
        assert report["left_out"]["n"] <= report["learned"]


@pytest.mark.parametrize("way", [name for name in CACHED if name != "cached sgd"])
def test_labels_beyond_the_memory_are_refused_with_what_they_would_take(
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    there = namedtuple("there", "total available")
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: there(1000, 1000))
    code, said, _ = ended(capsys, given(home, WAYS[way], home / "fine", tmp_path / "run"))
    assert code == 3
    assert "a head of 3 classes" in said
    assert "GiB" in said


@pytest.mark.parametrize("way", STREAMS)
def test_a_stream_refuses_classes_beyond_its_budget(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    arguments = given(home, WAYS[way], home / "fine", tmp_path / "run", "--max-classes", "2")
    code, said, report = ended(capsys, arguments)
    assert (code, report["classes"], report["refused"]) == (0, 2, 6)
    assert "beyond the 2 that --max-classes allows" in said


@pytest.mark.parametrize("way", WAYS)
def test_a_head_of_another_backbone_or_version_is_not_gone_on_with(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    from tests.graphs_made import tiny

    run = tmp_path / "run"
    arguments = given(home, WAYS[way], home / "fine", run)
    assert ended(capsys, arguments)[0] == 0
    other = tiny(sparsity=0.6, head="none", size=32).save(tmp_path / "other.onnx")
    place = arguments.index("--backbone") + 1
    with_other = [*arguments[:place], str(other), *arguments[place + 1 :]]
    more = [] if way in STREAMS else ["--resume"]
    assert ended(capsys, [*with_other, *more])[0] in (2, 3)
    head = run / "head.safetensors"
    whole = head.read_bytes()
    for broken in (whole.replace(b"edgetransfer-head", b"edgetransfer-haed"), whole[:-7], b""):
        head.write_bytes(broken)
        photo = home / "fine" / "c1" / "0.png"
        code, said, _ = ended(capsys, ["predict", str(run), str(photo), "--json"])
        assert code == 3
        assert "head.safetensors" in said


def test_tables_name_the_photo_too(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow")
    tables = tmp_path / "tables"
    arguments = given(home, ("extract",), home / "not finite", tables)
    code, said, _ = ended(capsys, arguments)
    assert code == 3
    assert re.search(rf"{NAMED}: its features are not finite", said)
    shutil.rmtree(tables, ignore_errors=True)
    code, _, report = ended(capsys, [*arguments, "--max-bad", "0.2"])
    assert (code, len(report["problems"])) == (0, 1)
    for way, options in CACHED.items():
        trained = ["--data", str(tables), "--out", str(tmp_path / way), "--max-bad", "0.2"]
        code, said, report = ended(capsys, [*options, *trained, "--json"])
        if way != "cached auto":
            assert code == 2
            assert "--solver auto" in said
            continue
        assert code == 0, said
        assert report["skipped"] == 1
        assert "c1/3.png" in (tmp_path / way / "skipped.jsonl").read_text()


@pytest.mark.parametrize("solver", ["auto", "ridge", "lda", "lbfgs"])
def test_the_estimator_says_it_as_scikit_learn_does(solver: str) -> None:
    from edgetransfer import HeadClassifier

    rng = np.random.default_rng(0)
    features = rng.normal(size=(12, 5)).astype(np.float32)
    labels = np.arange(12) % 3
    for value in (np.nan, np.inf):
        spoilt = features.copy()
        spoilt[4, 2] = value
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            HeadClassifier(solver=solver).fit(spoilt, labels)
        fitted = HeadClassifier(solver=solver).fit(features, labels)
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            fitted.predict(spoilt)
    with pytest.raises(ValueError, match="class"):
        HeadClassifier(solver=solver).fit(features, np.zeros(12))
    with pytest.raises(ValueError, match="sample"):
        HeadClassifier(solver=solver).fit(features[:1], labels[:1])
    with pytest.raises(ValueError, match="features"):
        fitted.predict(features[:, :4])
    equal = HeadClassifier(solver=solver).fit(np.full((12, 5), 0.3), labels)
    assert equal.predict_proba(features[:1] * 0 + 0.3)[0] == pytest.approx(1 / 3, abs=0.05)
