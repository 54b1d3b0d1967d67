"""What a trial says: agreement with the graph itself, and the reason where there is one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgetransfer.backbones import Backbone
from edgetransfer.engines import FakeEngine, open_engine, probe
from edgetransfer.engines.agreement import ALLOWED, ALLOWED_QUANTISED, allowed_difference
from edgetransfer.engines.onnxruntime_engine import OnnxRuntimeEngine
from edgetransfer.engines.trial import judge
from edgetransfer.types import Float32Array
from tests.conftest import needs_deepsparse
from tests.graphs_made import tiny


class Askew(OnnxRuntimeEngine):
    """An engine whose features are off by a share of the largest one."""

    share = 0.0

    def run(self, images: Float32Array) -> Float32Array:
        features = super().run(images)
        features[0, 0] += self.share * np.abs(features).max()
        return features


@pytest.fixture
def frozen(tmp_path: Path) -> onnx.ModelProto:
    return Backbone.open(tiny().save(tmp_path / "t.onnx")).frozen(2)


@pytest.mark.parametrize(
    ("share", "works"), [(0.0, True), (1e-5, True), (ALLOWED * 2, False), (0.004, False)]
)
def test_an_engine_that_computes_another_network_fails_its_trial(
    share: float, works: bool, frozen: onnx.ModelProto
) -> None:
    engine = Askew(frozen, threads=1, reason="test")
    engine.share = share
    answer = judge(frozen, engine)
    assert answer["works"] is works
    if not works:
        assert f"differ by {share:.2%}" in answer["detail"]
        assert "0.10% are allowed" in answer["detail"]


def test_not_finite_features_fail(frozen: onnx.ModelProto) -> None:
    engine = Askew(frozen, threads=1, reason="test")
    engine.share = float("nan")
    assert judge(frozen, engine) == {"works": False, "detail": "its features are not finite"}


def test_a_quantised_graph_may_round_the_other_way(frozen: onnx.ModelProto) -> None:
    assert allowed_difference(frozen) == ALLOWED
    frozen.graph.node.append(helper.make_node("QuantizeLinear", ["a", "b"], ["c"]))
    assert allowed_difference(frozen) == ALLOWED_QUANTISED


@needs_deepsparse
def test_the_childs_own_words_are_not_buried(frozen: onnx.ModelProto, tmp_path: Path) -> None:
    """The real child, on a graph that DeepSparse cannot take: its reason, no warning."""
    frozen.graph.node[0].domain = "nowhere"
    frozen.opset_import.append(helper.make_opsetid("nowhere", 1))
    path = tmp_path / "f.onnx"
    onnx.save(frozen, str(path))
    child = subprocess.run(
        [sys.executable, "-m", "edgetransfer.engines.trial", str(path), "1", "deepsparse"],
        capture_output=True,
        text=True,
        check=False,
    )
    answer = json.loads(child.stdout.splitlines()[-1])
    assert not answer["works"]
    assert answer["detail"].startswith("DeepSparse cannot compile this backbone: ")
    assert "runpy" not in child.stderr


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        ("<frozen runpy>:128: RuntimeWarning: 'x' found in sys.modules\nbad allocation\n", "bad"),
        ("bad graph\n/a.py:3: UserWarning: old\n  warnings.warn(\n", "bad graph"),
        ("Traceback (most recent call last):\n  File x\nValueError: no\n", "ValueError: no"),
        ("<frozen runpy>:128: RuntimeWarning: 'x' found in sys.modules\n", "exit code 3"),
    ],
)
def test_the_reason_is_what_is_neither_warning_nor_stack(
    stderr: str, said: str, frozen: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "said").write_text(stderr)
    script = tmp_path / "child.sh"
    script.write_text(f"#!/bin/sh\ncat '{tmp_path}/said' >&2\nexit 3\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    result = probe.probe(frozen, engine="deepsparse", threads=1, cache=None)
    assert result.detail.startswith(said)


@pytest.mark.parametrize("kind", ["sparse", "onnxruntime"])
def test_our_own_engines_would_pass(kind: str, frozen: onnx.ModelProto) -> None:
    try:
        engine = open_engine(frozen, engine=kind, threads=1)
    except Exception as error:  # not compiled here
        pytest.skip(str(error))
    assert judge(frozen, engine)["works"]


def test_where_there_is_nothing_to_compare_with_the_engine_is_not_believed() -> None:
    node = helper.make_node("Nothing", ["images"], ["features"], domain="nowhere")
    value = helper.make_tensor_value_info("images", TensorProto.FLOAT, [2, 3, 8, 8])
    graph = helper.make_graph(
        [node], "g", [value], [helper.make_tensor_value_info("features", TensorProto.FLOAT, [2, 4])]
    )
    graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), "w"))
    engine = FakeEngine(batch_size=2, size=8)
    answer = judge(helper.make_model(graph), engine)
    assert not answer["works"]
    assert "nothing says whether its features are right" in answer["detail"]
