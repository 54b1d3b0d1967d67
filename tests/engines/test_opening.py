"""Choosing an engine; the trial in a child process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import onnx
import pytest

from edgetransfer.backbones import Backbone
from edgetransfer.engines import KINDS, deepsparse_engine, open_engine, probe
from edgetransfer.engines.sparse import opening as sparse_opening
from edgetransfer.errors import EngineError, UsageError
from tests.conftest import needs_deepsparse
from tests.graphs_made import noise, tiny

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def frozen(tmp_path: Path) -> onnx.ModelProto:
    return Backbone.open(tiny().save(tmp_path / "t.onnx")).frozen(2)


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there had been no compiler when the package was installed."""
    monkeypatch.setattr(sparse_opening, "why_absent", lambda: "no compiler")


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Child:
    """The trial's child process, played by a shell script, as if DeepSparse were installed."""
    monkeypatch.setattr(deepsparse_engine, "why_absent", lambda: None)
    return Child(monkeypatch, tmp_path)


class Child:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.path, self.log = folder / "child.sh", folder / "calls"
        self.log.touch()
        monkeypatch.setattr(sys, "executable", str(self.path))

    def does(self, script: str) -> None:
        self.path.write_text(f"#!/bin/sh\necho called >> '{self.log}'\n{script}\n")
        self.path.chmod(0o755)

    def succeeds(self, detail: str = "all is well") -> None:
        self.does(f"""echo noise; echo '{{"works": true, "detail": "{detail}"}}'""")

    @property
    def calls(self) -> int:
        return len(self.log.read_text().splitlines())


FAILURES = {
    "kill -ABRT $$": "SIGABRT",
    "kill -SEGV $$": "SIGSEGV",
    "echo 'undefined symbol: xyz' >&2; exit 1": "undefined symbol: xyz",
    "exit 7": "exit code 7",
    """echo '{"works": false, "detail": "its features are not finite"}'""": "not finite",
}


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("script", FAILURES)
def test_auto_falls_back_and_says_why(script: str, child: Child, frozen: onnx.ModelProto) -> None:
    child.does(script)
    engine = open_engine(frozen, engine="auto", threads=1)
    assert engine.name == "onnxruntime"
    assert FAILURES[script] in engine.choice.reason
    assert "DeepSparse" in engine.choice.reason
    assert engine.run(noise(2, 3, 16, 16)).shape == (2, 12)


@pytest.mark.parametrize("script", FAILURES)
def test_deepsparse_asked_for_by_name_fails_instead(
    script: str, child: Child, frozen: onnx.ModelProto
) -> None:
    child.does(script)
    with pytest.raises(EngineError, match=FAILURES[script]) as caught:
        open_engine(frozen, engine="deepsparse", threads=1)
    assert caught.value.exit_code == 4
    assert "--engine onnxruntime" in str(caught.value)


@pytest.mark.usefixtures("uncompiled")
def test_a_child_that_hangs_is_given_up(
    child: Child, frozen: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "TIMEOUT", 0.3)
    child.does("exec sleep 60")
    assert "did not finish" in open_engine(frozen, threads=1).choice.reason


def test_a_success_is_remembered_for_this_graph_and_these_threads(
    child: Child, frozen: onnx.ModelProto, tmp_path: Path
) -> None:
    child.succeeds("first")
    cache = tmp_path / "cache"
    first = probe.probe(frozen, engine="deepsparse", threads=2, cache=cache)
    child.does("exit 1")
    assert probe.probe(frozen, engine="deepsparse", threads=2, cache=cache) == first
    assert first == probe.ProbeResult(works=True, detail="first")
    assert child.calls == 1
    assert not probe.probe(frozen, engine="deepsparse", threads=1, cache=cache).works
    other = Backbone.open(tiny(seed=1).save(tmp_path / "o.onnx")).frozen(2)
    assert not probe.probe(other, engine="deepsparse", threads=2, cache=cache).works
    assert not probe.probe(frozen, engine="deepsparse", threads=2, cache=None).works
    assert child.calls == 4


def test_a_failure_is_not_remembered(child: Child, frozen: onnx.ModelProto, tmp_path: Path) -> None:
    child.does("kill -ABRT $$")
    assert not probe.probe(frozen, engine="deepsparse", threads=1, cache=tmp_path / "c").works
    child.succeeds()
    assert probe.probe(frozen, engine="deepsparse", threads=1, cache=tmp_path / "c").works


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", "null", "\udcff"])
def test_a_broken_memory_is_tried_anew(
    content: str, child: Child, frozen: onnx.ModelProto, tmp_path: Path
) -> None:
    child.succeeds("again")
    cache = tmp_path / "cache"
    probe.probe(frozen, engine="deepsparse", threads=1, cache=cache)
    (memory,) = cache.rglob("*.json")
    memory.write_bytes(content.encode(errors="surrogateescape"))
    assert probe.probe(frozen, engine="deepsparse", threads=1, cache=cache).detail == "again"
    assert child.calls == 2
    assert json.loads(memory.read_text()) == {"detail": "again"}


def test_a_cache_that_cannot_be_written_is_no_obstacle(
    child: Child, frozen: onnx.ModelProto, tmp_path: Path
) -> None:
    child.succeeds()
    (tmp_path / "file").write_text("in the way")
    assert probe.probe(frozen, engine="deepsparse", threads=1, cache=tmp_path / "file").works


@pytest.mark.usefixtures("uncompiled")
def test_where_deepsparse_is_absent_auto_says_so(
    frozen: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deepsparse_engine, "why_absent", lambda: "no such wheel")
    engine = open_engine(frozen, threads=1)
    assert (engine.name, engine.choice.reason) == (
        "onnxruntime",
        "no compiler; no such wheel",
    )
    with pytest.raises(EngineError, match="no such wheel"):
        open_engine(frozen, engine="deepsparse")


def test_onnx_runtime_asked_for_by_name_makes_no_trial(
    child: Child, frozen: onnx.ModelProto
) -> None:
    child.does("exit 1")
    engine = open_engine(frozen, engine="onnxruntime", threads=1)
    assert engine.choice.reason == "asked for by name"
    assert child.calls == 0


def test_an_unknown_engine_is_a_usage_error(frozen: onnx.ModelProto) -> None:
    with pytest.raises(UsageError, match="'tflite'") as caught:
        open_engine(frozen, engine="tflite")
    assert caught.value.exit_code == 2


@needs_deepsparse
@pytest.mark.usefixtures("uncompiled")
def test_auto_takes_deepsparse_where_it_works(frozen: onnx.ModelProto, tmp_path: Path) -> None:
    engine = open_engine(frozen, threads=1, cache=tmp_path / "cache")
    assert engine.name == "deepsparse"
    assert "of operators are compiled" in engine.choice.reason
    assert engine.run(noise(2, 3, 16, 16)).shape == (2, 12)
    assert len(list((tmp_path / "cache").rglob("*.json"))) == 1


def test_auto_takes_the_sparse_engine_first(child: Child, frozen: onnx.ModelProto) -> None:
    if sparse_opening.why_absent() is not None:
        pytest.skip("the sparse engine was not compiled")
    engine = open_engine(frozen, threads=1)
    assert engine.name == "sparse"
    assert "production" in engine.choice.reason
    assert child.calls == 0


def test_auto_names_the_operator_that_the_sparse_engine_lacks(child: Child, tmp_path: Path) -> None:
    if sparse_opening.why_absent() is not None:
        pytest.skip("the sparse engine was not compiled")
    child.does("exit 7")
    made = tiny(batch=1, flatten="reshape")
    next(node for node in made.model.graph.node if node.op_type == "Relu").op_type = "Sinh"
    engine = open_engine(Backbone.open(made.save(tmp_path / "s.onnx")).frozen(1), threads=1)
    assert engine.name == "onnxruntime"
    assert "cannot run this backbone: it does not know the operator Sinh" in engine.choice.reason


FAKE_DEEPSPARSE = """
import json, os
with open(os.environ["SEEN"], "w") as file:
    json.dump({k: v for k, v in os.environ.items() if k.startswith("NM_")}, file)
__version__ = "1.8.0"
class Engine:
    def __init__(self, **kwargs):
        os.write(2, b"\\n[native] operator Foo is not known\\n")
        raise RuntimeError("")
"""


def test_telemetry_is_off_before_deepsparse_is_imported(
    frozen: onnx.ModelProto, tmp_path: Path
) -> None:
    (tmp_path / "fake" / "deepsparse").mkdir(parents=True)
    (tmp_path / "fake" / "deepsparse" / "__init__.py").write_text(FAKE_DEEPSPARSE)
    onnx.save(frozen, str(tmp_path / "frozen.onnx"))
    program = """
        import sys, onnx
        from edgetransfer.engines.deepsparse_engine import DeepSparseEngine
        from edgetransfer.errors import EngineError
        import edgetransfer.engines
        assert "deepsparse" not in sys.modules
        try:
            DeepSparseEngine(onnx.load(sys.argv[1]), threads=1, reason="test")
        except EngineError as error:
            print(error)
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NM_")}
    paths = [str(tmp_path / "fake"), *filter(None, sys.path)]
    environment |= {"SEEN": str(tmp_path / "seen"), "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "frozen.onnx")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen == {"NM_DISABLE_ANALYTICS": "1", "NM_VERSION_CHECK": "false"}
    # What native code wrote is in the error, and not on the terminal.
    assert "[native] operator Foo is not known" in done.stdout
    assert "[native]" not in done.stderr


def test_openvino_is_imported_without_its_telemetry(
    frozen: onnx.ModelProto, tmp_path: Path
) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is an extra")
    onnx.save(frozen, str(tmp_path / "frozen.onnx"))
    program = """
        import socket, sys, onnx
        def refused(*arguments, **options):
            raise SystemExit(f"a call home: {arguments}")
        socket.getaddrinfo = socket.socket.connect = refused
        from edgetransfer.engines.openvino_engine import OpenVinoEngine
        assert "openvino" not in sys.modules
        OpenVinoEngine(onnx.load(sys.argv[1]), threads=1, reason="test")
        assert "openvino" in sys.modules
        assert not [m for m in sys.modules if m.startswith("openvino_telemetry")]
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "frozen.onnx")],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"t.onnx", "frozen.onnx"}


def test_an_unmeasured_machine_is_never_given_reduced_precision() -> None:
    for kind in KINDS:
        assert kind.reduced is None or kind.unmeasured is None
    assert KINDS[-1].name == "onnxruntime"
    assert KINDS[-1].unmeasured is not None
