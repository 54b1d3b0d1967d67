"""Turns in processes of their own: answers, errors, aborts."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from edgetransfer.benchmark.child import TurnFailedError, measure_turn
from edgetransfer.benchmark.turn import TurnRequest
from edgetransfer.errors import DataError, EdgeTransferError
from edgetransfer.train import LinearTraining
from edgetransfer.types import no_progress


@pytest.fixture
def request_(backbone, photos, tmp_path):
    return TurnRequest(
        training=LinearTraining(
            backbone=str(backbone),
            data=photos,
            out=tmp_path,
            mode="online",
            solver="sgd",
            epochs=2,
            batch_size=16,
            engine="onnxruntime",
            threads=1,
            mean=(0.5, 0.5, 0.5),
            cache_dir=tmp_path / "cache",
        ),
        epoch=0,
        images=32,
        head_before=None,
        head_after=tmp_path / "head.safetensors",
        score=True,
    )


def python(program):
    return (sys.executable, "-c", program)


def test_a_request_survives_its_way(request_, tmp_path):
    later = replace(request_, epoch=1, head_before=tmp_path / "before.safetensors")
    for request in (request_, later):
        assert TurnRequest.from_json(request.to_json()) == request


def test_a_process_of_another_release_measures_nothing(request_, monkeypatch):
    """It says so before it looks at what it is asked, which it may not know."""
    asked = json.loads(request_.to_json()) | {"release": "99.0", "unheard": 1}
    monkeypatch.setattr(TurnRequest, "to_json", lambda self: json.dumps(asked))
    with pytest.raises(EdgeTransferError, match=r"edgetransfer 0.*was asked by 99\.0") as raised:
        measure_turn(request_, no_progress)
    assert not isinstance(raised.value, TurnFailedError)
    assert not request_.head_after.exists()


def test_a_turn_in_its_own_process(request_):
    heard = []
    record = measure_turn(request_, lambda *told: heard.append(told))
    assert record["images"] == 32
    assert record["seconds"] > 0
    assert record["engine"]["name"] == "onnxruntime"
    assert 0 <= record["top1"] <= 1
    assert request_.head_after.exists()
    assert ("epoch", 32, 32) in heard


def test_an_abort_is_a_reason(request_):
    program = "import os, sys; print('Assertion failed', file=sys.stderr, flush=True); os.abort()"
    with pytest.raises(TurnFailedError, match=r"aborted \(SIGABRT\): Assertion failed"):
        measure_turn(request_, no_progress, command=python(program))


def test_a_kill_and_an_exit_are_reasons(request_):
    with pytest.raises(TurnFailedError, match="memory"):
        measure_turn(request_, no_progress, command=python("import os; os.kill(os.getpid(), 9)"))
    with pytest.raises(TurnFailedError, match="exit code 7"):
        measure_turn(request_, no_progress, command=python("raise SystemExit(7)"))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"error": "no", "exit_code": 4, "fatal": False}, TurnFailedError),
        ({"error": "no", "exit_code": 3, "fatal": True}, DataError),
        ({"error": "no", "exit_code": 1, "fatal": True}, EdgeTransferError),
    ],
)
def test_errors_come_back(request_, answer, error):
    program = f"import sys; sys.stdin.read(); print('noise'); print({json.dumps(answer)!r})"
    with pytest.raises(error, match="no") as caught:
        measure_turn(request_, no_progress, command=python(program))
    assert caught.type is error
