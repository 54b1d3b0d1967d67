"""``edgetransfer benchmark`` as people run it."""

from __future__ import annotations

import json
import sys

import pytest

from edgetransfer.benchmark import child
from edgetransfer.cli.main import main


@pytest.fixture
def call(backbone, photos, tmp_path):
    return [
        *("benchmark", "--baseline", str(backbone), "--data", str(photos), "--epochs", "1"),
        *("--images", "32", "--batch-size", "16", "--mean", "0.5,0.5,0.5", "--std", "1,1,1"),
        *("--cache-dir", str(tmp_path / "cache"), "--out", str(tmp_path / "bench"), "--json"),
    ]


def test_json_is_one_object_on_stdout(call, capsys):
    assert main([*call, "--engines", "onnxruntime"]) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    (row,) = report["rows"]
    assert row["engine"] == "onnxruntime"
    assert row["images"] == 32
    assert report["machine"]["cpu"]["cores"] >= 1
    assert "Traceback" not in captured.err


def test_where_nothing_runs_the_rows_say_why_and_the_exit_code_is_the_engines(
    call, capsys, monkeypatch
):
    monkeypatch.setattr(child, "COMMAND", (sys.executable, "-c", "import os; os.abort()"))
    assert main([*call, "--engines", "onnxruntime"]) == 4
    captured = capsys.readouterr()
    assert "SIGABRT" in json.loads(captured.out)["rows"][0]["reason"]
    assert "SIGABRT" in captured.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--synthetic", "resnet5:0.5"], 2, "resnet5"),
        (["--engines", "abacus"], 2, "abacus"),
        (["--backbone", "gone.onnx"], 3, "gone.onnx"),
        (["--data", "nowhere"], 3, "nowhere"),
    ],
)
def test_bad_calls_end_in_a_sentence_and_a_code(
    call, capsys, tmp_path, monkeypatch, arguments, code, message
):
    monkeypatch.chdir(tmp_path)
    assert main([*call, *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert not (tmp_path / "bench").exists()


def test_a_table_for_people(call, capsys):
    call.remove("--json")
    assert main([*call, "--engines", "onnxruntime"]) == 0
    captured = capsys.readouterr()
    assert "s/epoch" in captured.out
    assert "report.html" in captured.out
    assert "s/epoch" not in captured.err
