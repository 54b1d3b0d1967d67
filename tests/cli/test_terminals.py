"""Output in the encodings that terminals and pipes have."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from edgetransfer.cli.main import main

CODINGS = ["utf-8", "ascii", "latin-1", "cp1252"]
NAMES = [b"gr\xfcn.png", b"\xff\n\x1b[31m.png", "猫 👩‍🌾.png".encode()]


@pytest.fixture
def trained(photos, backbone, tmp_path, capsys):
    (photos / "train/red").rename(photos / "train/红 👩‍🌾")
    (photos / "test/red").rename(photos / "test/红 👩‍🌾")
    options = ["--engine", "onnxruntime", "--l2", "0.01", "--cache-dir", str(tmp_path / "cache")]
    command = ["train", "--backbone", str(backbone), "--data", str(photos)]
    assert main([*command, "--out", str(tmp_path / "run"), *options]) == 0
    capsys.readouterr()
    folder = tmp_path / "new"
    folder.mkdir()
    for name in NAMES:
        Image.new("RGB", (40, 48), (200, 40, 40)).save(folder / "photo.png")
        (folder / "photo.png").rename(folder / os.fsdecode(name))
    (folder / os.fsdecode(b"broken\xe4.png")).write_bytes(b"no photo")
    return tmp_path / "run", folder


@pytest.mark.parametrize("coding", CODINGS)
def test_predictions_survive_every_encoding(trained, coding):
    run, folder = trained
    command = [sys.executable, "-m", "edgetransfer", "predict", str(run), str(folder), "--top", "1"]
    environment = {**os.environ, "PYTHONIOENCODING": coding}
    lines = subprocess.run(command, capture_output=True, env=environment)
    as_json = subprocess.run([*command, "--json"], capture_output=True, env=environment)
    for result in (lines, as_json):
        assert result.returncode == 3  # one of them is no photo
        assert b"Traceback" not in result.stderr
        assert b"\x1b" not in result.stdout + result.stderr
    assert len(lines.stdout.decode(coding).splitlines()) == len(NAMES)
    predictions = json.loads(as_json.stdout.decode(coding))["predictions"]
    ids = {os.fsencode(os.path.basename(p["id"])) for p in predictions}
    assert ids == {*NAMES, b"broken\xe4.png"}
    assert {p["classes"][0] for p in predictions if p["classes"]} == {"红 👩‍🌾"}


@pytest.mark.parametrize("coding", ["ascii", "cp1252"])
@pytest.mark.parametrize("arguments", [["evaluate"], ["--help"], ["train", "--help"]])
def test_tables_and_help_survive_them_too(trained, photos, coding, arguments):
    run, _ = trained
    if arguments == ["evaluate"]:
        arguments = ["evaluate", str(run), str(photos)]
    result = subprocess.run(
        [sys.executable, "-m", "edgetransfer", *arguments],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": coding},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout + result.stderr


def test_what_stands_in_an_error_cannot_drive_a_terminal(capsys, tmp_path):
    name = tmp_path / os.fsdecode(b"\x1b]0;owned\x07\xe4")
    assert main(["train", "--data", str(name), "--out", str(tmp_path / "run")]) == 3
    said = capsys.readouterr().err
    assert r"\x1b]0;owned\x07\xe4: no such folder" in said
    assert "\x1b" not in said


def test_training_photos_are_tested_on_when_asked_for(trained, photos, capsys):
    run, _ = trained
    assert main(["evaluate", str(run), str(photos / "train"), "--json"]) == 3
    assert "--training-photos" in capsys.readouterr().err
    assert main(["evaluate", str(run), str(photos / "train"), "--training-photos", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 60
