"""The command line: exit codes, JSON on stdout alone, and what it loads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgetransfer.cli.main import main
from edgetransfer.engines import engine_kind, engine_names
from edgetransfer.settings.shared import ENGINES

HEAVY = ("torch", "deepsparse", "onnxruntime", "openvino", "sklearn", "scipy", "matplotlib")


def run(*arguments):
    """The command line in a process of its own, as people run it."""
    return subprocess.run(
        [sys.executable, "-m", "edgetransfer", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "100"},
    )


@pytest.fixture
def trained(photos, backbone, tmp_path, capsys):
    code = main(
        [
            *("train", "--backbone", str(backbone), "--data", str(photos)),
            *("--out", str(tmp_path / "run"), "--engine", "onnxruntime", "--json"),
            *("--cache-dir", str(tmp_path / "cache")),
        ]
    )
    assert code == 0
    return tmp_path / "run", json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("statement", ["import edgetransfer", "import edgetransfer.cli.main"])
def test_import_loads_nothing_heavy(statement):
    program = f"{statement}; import sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout.strip() == "[]"


def test_no_help_page_loads_anything_heavy():
    """Of no command: one after the other in a process, so that what one loads would be seen."""
    heavy = (*HEAVY, "numpy", "onnx", "PIL", "pandas", "pyarrow")
    program = (
        "import sys; from edgetransfer.cli.main import COMMANDS, main\n"
        "for name in COMMANDS:\n"
        "    assert main([name, '--help']) == 0\n"
        f"    loaded = [m for m in {heavy!r} if m in sys.modules]\n"
        "    assert not loaded, (name, loaded)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "edgetransfer train --data photos --out run" in result.stdout


def test_train_json_is_one_object_and_alone_on_stdout(trained):
    folder, report = trained
    assert report["final"]["mean_per_class"] >= 0.9
    assert report == json.loads((folder / "report.json").read_text())


def test_predict_and_evaluate(trained, photos, capsys):
    folder, _ = trained
    photo = photos / "test/red/000.png"
    options = ["--engine", "onnxruntime", "--json"]
    assert main(["predict", str(folder), str(photo), "--top", "2", *options]) == 0
    (prediction,) = json.loads(capsys.readouterr().out)["predictions"]
    assert prediction["classes"][0] == "red"
    assert len(prediction["classes"]) == 2
    assert main(["evaluate", str(folder), str(photos / "test"), *options]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["n"] == 15
    assert result["mean_per_class"] >= 0.9


def test_predict_reads_stdin(trained, photos):
    folder, _ = trained
    command = [sys.executable, "-m", "edgetransfer", "predict", str(folder), "-", "--json"]
    result = subprocess.run(
        [*command, "--engine", "onnxruntime"],
        input=(photos / "test/blue/001.png").read_bytes(),
        capture_output=True,
        check=True,
    )
    assert json.loads(result.stdout)["predictions"][0]["classes"][0] == "blue"


def test_predict_of_a_broken_photo_still_predicts_the_others(trained, photos, tmp_path, capsys):
    folder, _ = trained
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"nothing")
    photo = photos / "test/red/000.png"
    code = main(
        ["predict", str(folder), str(broken), str(photo), "--json", "--engine", "onnxruntime"]
    )
    assert code == 3
    first, second = json.loads(capsys.readouterr().out)["predictions"]
    assert first["error"]
    assert second["classes"][0] == "red"


def test_inspect_json(backbone, capsys):
    assert main(["inspect", str(backbone), "--json", "--engine", "onnxruntime"]) == 0
    result = json.loads(capsys.readouterr().out)
    cut = "nothing is cut off: no classifier was found at the end"
    assert result["features"] == {"tensor": "y", "dim": 8, "cut": cut}
    assert result["input"] == {"size": 32}
    assert result["sparsity"] == 0.5
    # 3x3 filters over 3 channels at stride 2 on 32 pixels: 15 x 15 positions, 8 x 27 weights.
    assert result["macs"] == {"dense": 15 * 15 * 216, "nonzero": 15 * 15 * 108}
    (layer,) = result["layers"]
    assert layer["name"] == "w"
    assert layer["shape"] == [8, 3, 3, 3]
    assert layer["pruned_filters"] == 0
    assert result["engine"]["images_per_second"] > 0


def test_doctor_names_the_engine_and_the_licence(capsys):
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    here = sys.version_info < (3, 12) and found["packages"]["deepsparse"]
    assert found["notice"] == (engine_kind("deepsparse").notice if here else None)
    if found["sparse"]["absent"] is None:
        assert found["engine"]["name"] == "sparse"
        assert found["sparse"]["kernels"] in found["engine"]["reason"]
    elif here:
        assert found["engine"]["name"] == "deepsparse"
    else:
        assert found["engine"]["name"] == "onnxruntime"
        assert "3.11" in found["engine"]["reason"]


def test_doctor_says_how_the_sparse_engine_is_had(capsys, monkeypatch):
    monkeypatch.setattr("edgetransfer.native.compiling.LIBRARY", Path("nowhere.so"))
    assert main(["doctor"]) == 0
    assert "python -m edgetransfer.native.compiling" in capsys.readouterr().out


def expect(code, *arguments):
    result = run(*arguments)
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


def test_bad_input_ends_in_a_sentence_and_a_code(backbone, photos, tmp_path):
    out = tmp_path / "run"
    common = ("train", "--backbone", backbone, "--out", out, "--engine", "onnxruntime")
    assert "no such folder" in expect(3, *common, "--data", tmp_path / "nowhere")
    single = tmp_path / "single"
    (single / "only").mkdir(parents=True)
    (single / "only" / "a.png").write_bytes((photos / "test/red/000.png").read_bytes())
    assert "only one class" in expect(3, *common, "--data", single)
    (single / "empty").mkdir()
    assert "'empty'" in expect(3, *common, "--data", single)
    missing = ("train", "--backbone", tmp_path / "no.onnx", "--out", out, "--data", photos)
    assert "no.onnx" in expect(3, *missing)
    assert "not a run folder" in expect(1, "predict", tmp_path, photos / "test/red/000.png")
    assert "--mean" in expect(2, *common, "--data", photos, "--mean", "1,2")
    assert "--cached" in expect(2, *common, "--data", photos, "--online", "--solver", "lbfgs")
    assert expect(2, "train", "--no-such-option")
    assert not out.exists()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="DeepSparse exists for Python 3.11")
def test_deepsparse_by_name_fails_with_its_own_code(backbone, photos, tmp_path):
    message = expect(
        4,
        *("train", "--backbone", backbone, "--out", tmp_path / "run", "--data", photos),
        *("--engine", "deepsparse"),
    )
    assert "3.11" in message


def test_interrupt_exits_130_and_the_run_can_be_resumed(backbone, photos, tmp_path):
    import signal
    import time

    command = [
        *(sys.executable, "-m", "edgetransfer", "train", "--backbone", str(backbone)),
        *("--data", str(photos), "--out", str(tmp_path / "run"), "--engine", "onnxruntime"),
        *("--online", "--epochs", "3000", "--cache-dir", str(tmp_path / "cache")),
    ]
    child = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background has SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    deadline = time.monotonic() + 60
    while not checkpoint.exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, stderr = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "--resume" in stderr
    assert "Traceback" not in stderr
    assert checkpoint.exists()


def test_text_of_files_does_not_move_the_cursor(capsys):
    import json

    from edgetransfer.cli.terminal import print_json, say

    text = "a\x1b[2Jb\x9b1mc\x7f\rd\te\n"
    say(text)
    print_json({text: text})
    out, err = capsys.readouterr()
    assert err == "a\\x1b[2Jb\\x9b1mc\\x7f\\x0dd\te\n\n"
    assert json.loads(out) == {text: text}
    assert not any(c < " " or "\x7f" <= c <= "\x9f" for c in out.rstrip("\n"))


def test_help_names_every_engine_of_the_registry():
    assert engine_names() == ENGINES
