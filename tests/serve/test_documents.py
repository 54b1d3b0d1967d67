"""The examples of the documents, run as they are written, but for the port."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.serve.conftest import Server
from tests.serve.test_predict import photo
from tests.teach.taught import Taught

pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("bash") is None, reason="no curl, or no bash"
)


def examples(page: str) -> list[str]:
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def answers(page: str, port: int, folder: Path) -> list[Any]:
    for i, name in enumerate(("cat", "dog", "rose", "other")):
        (folder / f"{name}.jpg").write_bytes(photo(("red", "green", "blue")[i % 3]))
    found = []
    for example in examples(page):
        script = 'curl() { command curl -sSf "$@"; }\n' + example.replace(":8000/", f":{port}/")
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, (example, done.stderr)
        found.append(json.loads(done.stdout) if done.stdout[:1] == "{" else done.stdout)
    return found


def test_serve(server: Server, tmp_path: Path) -> None:
    form, two, raw, in_json, metrics = answers("serve.md", server.port, tmp_path)
    assert form["predictions"][0]["name"] == "cat.jpg"
    assert [list(p["classes"]) for p in two["predictions"]] == [["red"], ["green"]]
    assert next(iter(raw["classes"])) == next(iter(in_json["classes"])) == "red"
    assert "edgetransfer_photos_total" in metrics


def test_teach(tmp_path: Path) -> None:
    taught = Taught(tmp_path / "run")
    try:
        given, guess, state, renamed = answers("teach.md", taught.server.port, tmp_path)
        assert given["photos"][0]["status"] == "accepted"
        assert list(guess["classes"]) == ["rose"]
        assert state["classes"][0]["name"] == "rose"
        assert renamed == {"photos": 1}
        assert taught.room.album.counts == {"roses": 1}
    finally:
        taught.close()
