"""Output in the encodings that terminals and pipes have."""

from __future__ import annotations

import io
import json
import os
import sys

import pytest
from PIL import Image

from edgetransfer.cli.main import main
from tests.photos import write_photos

CODINGS = ["utf-8", "ascii", "latin-1", "cp1252"]
NAMES = [b"gr\xfcn.png", b"\xff\n\x1b[31m.png", "猫 👩‍🌾.png".encode()]


@pytest.fixture(scope="module")
def trained(backbone, tmp_path_factory):
    """A run, what it was trained on, and photos with names of all kinds."""
    place = tmp_path_factory.mktemp("terminals")
    photos, folder = place / "photos", place / "new"
    for split, seed in (("train", 0), ("test", 1)):
        write_photos(photos / split, 8, seed)
        (photos / split / "red").rename(photos / split / "红 👩‍🌾")
    options = ["--engine", "onnxruntime", "--l2", "0.01", "--cache-dir", str(place / "cache")]
    command = ["train", "--backbone", str(backbone), "--data", str(photos)]
    assert main([*command, "--out", str(place / "run"), *options]) == 0
    folder.mkdir()
    for name in NAMES:
        Image.new("RGB", (40, 48), (200, 40, 40)).save(folder / "photo.png")
        (folder / "photo.png").rename(folder / os.fsdecode(name))
    (folder / os.fsdecode(b"broken\xe4.png")).write_bytes(b"no photo")
    return place / "run", photos, folder


@pytest.fixture
def terminal(monkeypatch):
    """Run the command line with streams of an encoding; gives code, stdout and stderr as bytes."""

    def run(coding, *arguments):
        streams = {name: io.TextIOWrapper(io.BytesIO(), coding) for name in ("stdout", "stderr")}
        with monkeypatch.context() as patch:
            for name, stream in streams.items():
                patch.setattr(sys, name, stream)
            code = main([str(argument) for argument in arguments])
        for stream in streams.values():
            stream.flush()
        return code, *(stream.buffer.getvalue() for stream in streams.values())

    return run


@pytest.mark.parametrize("coding", CODINGS)
def test_predictions_survive_every_encoding(trained, terminal, coding):
    run, _, folder = trained
    command = ["predict", run, folder, "--top", "1", "--engine", "onnxruntime"]
    code, lines, said = terminal(coding, *command)
    json_code, text, json_said = terminal(coding, *command, "--json")
    assert (code, json_code) == (3, 3)  # one of them is no photo
    assert b"\x1b" not in lines + said + text + json_said
    assert len(lines.decode(coding).splitlines()) == len(NAMES)
    predictions = json.loads(text.decode(coding))["predictions"]
    ids = {os.path.basename(os.fsencode(p["id"])) for p in predictions}
    assert ids == {*NAMES, b"broken\xe4.png"}
    assert {p["classes"][0] for p in predictions if p["classes"]} == {"红 👩‍🌾"}


@pytest.mark.parametrize("coding", CODINGS)
def test_tables_and_help_survive_them_too(trained, terminal, coding):
    run, photos, _ = trained
    for arguments in (["evaluate", run, photos, "--engine", "onnxruntime"], ["train", "--help"]):
        code, text, said = terminal(coding, *arguments)
        assert code == 0
        assert (text + said).decode(coding)


def test_what_stands_in_an_error_cannot_drive_a_terminal(capsys, tmp_path):
    name = tmp_path / os.fsdecode(b"\x1b]0;owned\x07\xe4")
    assert main(["train", "--data", str(name), "--out", str(tmp_path / "run")]) == 3
    said = capsys.readouterr().err
    assert r"\x1b]0;owned\x07\xe4: no such folder" in said
    assert "\x1b" not in said


def test_training_photos_are_tested_on_when_asked_for(trained, capsys):
    run, photos, _ = trained
    assert main(["evaluate", str(run), str(photos / "train"), "--json"]) == 3
    assert "--training-photos" in capsys.readouterr().err
    assert main(["evaluate", str(run), str(photos / "train"), "--training-photos", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 24
